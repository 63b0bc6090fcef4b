import { spellObligations } from '@bailiwick/authzen'
import {
  actionText,
  delegationId,
  generateKey,
  makeDpopProof,
  type Permit,
  permittedHash,
  proofId,
  publicKeyOf,
  signAccessToken,
  signDelegation,
  verifyPermit,
} from '@bailiwick/credentials'
import { newId, systemRandom } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import type { Answer } from './answer.ts'
import {
  type Asked,
  action,
  agentKey,
  asked,
  base,
  credentialId,
  credentialKey,
  digest,
  hash,
  issuer,
  permitKey,
  point,
  resource,
  root,
} from './decide.fixture.ts'
import { Turns } from './order/turns.ts'
import { agent, now, spell } from './steps/living-call.fixture.ts'
import { whyNotAgain } from './why-not-again.ts'

it('says yes with a permit for this very action, once its event is durable and counts (V1, V2)', async () => {
  const w = asked()
  let durable = false
  w.order.before = async () => {
    durable = true
  }
  const answer = await w.ask()
  if (!answer.decision) return expect.unreachable(answer.reason)
  expect(durable).toBe(true)
  const { decisionId } = answer
  for (const member of ['token', 'digest']) expect(answer).not.toHaveProperty(member)
  expect(answer).toMatchObject({ callId: w.callId, permitEndsAt: now + 5000, outcomeDue: spell(now + 30_000) })
  expect(answer.obligations).toEqual([])
  const verified = verifyPermit({
    ...{ permit: answer.permit, key: publicKeyOf(permitKey), issuer, enforcementPoint: base },
    ...{ instance: undefined, actionDigest: digest, now, leewayMs: 0 },
  })
  expect(verified).toEqual({
    ok: true,
    value: {
      ...{ iss: issuer, aud: base, jti: decisionId, iat: now / 1000, exp: now / 1000 + 5 },
      ...{ action_digest: digest, action_salt: expect.any(String), grant: root },
    },
  })
  if (!verified.ok) return
  const call = { salted_sha256: permittedHash(verified.value, actionText({ ...action, resource })) }
  expect(w.writes).toMatchObject([[{ key: root, version: 1, type: 'decision.allowed', subject: decisionId }]])
  const proof_id = proofId({ jkt: agentKey.kid, jti: 'proof-1-proof-1-proof-1' })
  expect(w.writes[0]?.[0]?.data).toEqual({
    ...{ decision_id: decisionId, call_id: w.callId, enforcement_point: base },
    actor: { agent, credential_id: credentialId, grant_id: root, request_id: 'req_1', task: 't' },
    // Only the arguments that the authority names.
    action: { name: 'tools/call', resource, call, arguments: { '/invoice': 'INV-1' } },
    ...{ permission: 0, proof: 'agent_signed', proof_id, reserved: { calls: 1, egress_bytes: 0, cost: {} } },
    ...{
      labels: ['unlabelled'],
      owners: ['o'],
      policy_set: 'set',
      policies: ['all'],
      outcome_due: spell(now + 30_000),
      as_of: 0,
    },
  })
  expect(w.store.advances).toMatchObject([{ takeId: decisionId, amounts: { calls: 1n, 'uses:0': 1n } }])
  expect(w.shadowed).toEqual([[decisionId, 'prepared']])
})

const permitOf = (answer: Answer): Permit =>
  answer.decision
    ? JSON.parse(Buffer.from(answer.permit.split('.')[1] ?? '', 'base64url').toString())
    : expect.unreachable(answer.reason)

it('records nothing that the arguments of a call could be guessed from: each salt is new, and in the permit alone (V17)', async () => {
  const salts = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const w = asked()
      const { action_digest, action_salt = '' } = permitOf(await w.ask())
      expect(action_digest).toBe(digest)
      const written = JSON.stringify(w.writes)
      for (const text of [digest, action_salt, 'secret']) expect(written).not.toContain(text)
      return action_salt
    }),
  )
  for (const salt of salts) expect(Buffer.from(salt, 'base64url')).toHaveLength(16)
  expect(new Set(salts).size).toBe(20)
})

it('names a call in an event that is void as in the one that counts (V15, V17)', async () => {
  const w = asked()
  w.order.overtaken = 1
  const salted_sha256 = permittedHash(permitOf(await w.ask()), actionText({ ...action, resource }))
  expect(w.writes.flat().map(({ data }) => Object(data).action.call)).toEqual([{ salted_sha256 }, { salted_sha256 }])
})

it.each<[string, (w: Asked) => unknown]>([
  [
    'by its grant',
    (w) =>
      Object.assign(w.tree.grant, {
        mode: 'per_action',
        statement: { ...w.tree.grant.statement, action_digest: digest },
      }),
  ],
  [
    'by a step-up',
    (w) => {
      Object.assign(w.said, { outcome: 'step_up', policies: ['x'], permits: ['all'] })
      const yes = { requestId: 'req_2', actionDigest: digest, approvedAt: now, notAfter: now + 1, approverIds: ['eve'] }
      Object.assign(w.pdp.stepUps, { find: () => yes })
    },
  ],
])('records the digest that humans signed, %s, so that an auditor can compare the two (V3)', async (_, change) => {
  const w = asked()
  change(w)
  expect(permitOf(await w.ask())).not.toHaveProperty('action_salt')
  const { action } = (w.writes[0]?.[0]?.data ?? {}) as { action?: object }
  expect(action).toEqual({ name: 'tools/call', resource, action_digest: digest, arguments: { '/invoice': 'INV-1' } })
})

it.each<[reason: string, change: (w: Asked) => unknown]>([
  ['request_invalid', (w) => Object.assign(w.request.subject, { id: '' })],
  ['credential_missing', (w) => Object.assign(w.request.observed, { credential: undefined })],
  ['proof_replayed', (w) => Object.assign(w.proofs, { accept: async () => 'replayed' })],
  ['grant_unknown', (w) => w.pdp.projection.ledger.grants.trees.clear()],
  [
    'state_stale',
    (w) =>
      Object.assign(w.active, { readsAgentHistory: true }) &&
      Object.assign(w.caughtUp, { now: () => Promise.reject(new Error('late')) }),
  ],
  ['policy_denied', (w) => Object.assign(w.said, { outcome: 'deny', policies: ['x'] })],
  ['step_up_required', (w) => Object.assign(w.said, { outcome: 'step_up', policies: ['x'], permits: ['all'] })],
  ['budget_reserved', (w) => w.store.answers.push({ outcome: 'exhausted', resource: 'calls' })],
])('says no, and nothing counts: %s', async (reason, change) => {
  const w = asked()
  change(w)
  expect(await w.ask()).toMatchObject({ decision: false, reason, callId: w.callId })
  expect(w.writes).toEqual([])
})

it('tells with a no what is known of who asked, and which policies it is for', async () => {
  const w = asked()
  Object.assign(w.said, { outcome: 'deny', policies: ['x'] })
  expect(await w.ask()).toMatchObject({
    ...{ token: { jti: credentialId }, digest, policies: ['x'], policySet: 'set', duties: { redact: [] } },
  })
  Object.assign(w.proofs, { accept: async () => 'replayed' })
  const replayed = await w.ask()
  expect(replayed).toMatchObject({ token: { jti: credentialId } })
  expect(replayed).not.toHaveProperty('digest')
})

it('gives a call that has no id one, and one that had an answer none (V10)', async () => {
  const w = asked()
  expect(await w.ask()).toMatchObject({ decision: true })
  const again = { decisionId: expect.any(String), callId: w.callId, token: expect.anything(), digest } // no policy was asked
  expect(await w.ask()).toStrictEqual({ decision: false, reason: 'call_elsewhere', ...again })
  Object.assign(w.request.observed, { call_id: undefined, proof: w.proofOf('proof-2') })
  expect(await w.ask()).toMatchObject({ decision: true, callId: expect.stringMatching(/^call_/) })
  expect(w.writes).toHaveLength(2)
})

it('counts a proof once by the log, where the grant store forgot it (V10)', async () => {
  const w = asked()
  w.request.observed.call_id = undefined
  expect(await w.ask()).toMatchObject({ decision: true })
  expect(await w.ask()).toMatchObject({ decision: false, reason: 'proof_replayed' })
  expect(w.writes).toHaveLength(1)
})

it('takes back what counts and was not to be: revoked or gone stale meanwhile, or not answered in time (V7, V8, V9)', async () => {
  const revoked = asked()
  revoked.order.before = async () => revoked.revoke('grant', root)
  expect(await revoked.ask()).toMatchObject({ decision: false, reason: 'grant_revoked' })
  const stale = asked()
  stale.order.before = async () => Object.assign(stale.pdp.projection, { fresh: () => false })
  expect(await stale.ask()).toMatchObject({ decision: false, reason: 'state_stale' })
  const late = asked()
  late.pdp.decisionDeadlineMs = 1
  const told = Promise.withResolvers<void>()
  late.order.before = () => told.promise
  expect(await late.ask()).toMatchObject({ decision: false, reason: 'deadline_exceeded' })
  told.resolve()
  for (const w of [revoked, stale, late]) {
    await expect.poll(() => w.writes.length, { timeout: 60_000, interval: 5 }).toBe(2)
    expect(w.writes[1]).toMatchObject([{ type: 'decision.abandoned', data: { call_id: w.callId, grant_id: root } }])
    await expect.poll(() => w.trees.get(root)?.taken.calls, { timeout: 60_000, interval: 5 }).toBe(0n)
    expect(w.shadowed).toHaveLength(1) // the call is answered only once
  }
})

it('says of a call that it took back that nothing was done under its id, which never counts again (V9, V10)', async () => {
  const w = asked()
  const late = Object.assign(w.pdp, { decisionDeadlineMs: 1 })
  const told = Promise.withResolvers<void>()
  w.order.before = () => told.promise
  expect(await w.ask()).toMatchObject({ decision: false, reason: 'deadline_exceeded' })
  told.resolve()
  await expect.poll(() => w.writes.length, { timeout: 60_000, interval: 5 }).toBe(2)
  late.decisionDeadlineMs = 60_000
  w.request.observed.proof = w.proofOf('proof-2')
  expect(await w.ask()).toMatchObject({ decision: false, reason: 'call_abandoned', callId: w.callId })
  expect(w.writes).toHaveLength(2)
})

it('denies if it is unknown whether the ALLOW counts, and takes it back once it does (V2, V9)', async () => {
  const w = asked()
  w.order.before = async () => Promise.reject(new Error('away'))
  const answer = await w.ask()
  expect(answer).toMatchObject({ decision: false, reason: 'evidence_unavailable' })
  w.order.before = async () => undefined
  const [draft] = w.writes[0] ?? []
  const { event } = { event: { type: 'decision.allowed', data: { decision_id: answer.decisionId } } }
  expect(draft?.subject).toBe(answer.decisionId)
  expect(w.queues.length).toBe(0)
  w.queues.onFact({ topic: 'decisions.v1', verdict: 'counts', event } as never)
  expect(w.queues.length).toBe(1)
})

it.each<[reason: string | undefined, change: (w: Asked) => unknown]>([
  [undefined, (w) => Object.assign(w.proofs, { accept: async () => 'replayed' })], // this same proof was counted before
  ['credential_missing', (w) => Object.assign(w.request.observed, { credential: undefined })],
  ['grant_unknown', (w) => w.pdp.projection.ledger.grants.trees.clear()],
  ['grant_revoked', (w) => w.revoke('grant', root)],
])('does not repeat an ALLOW to a caller who could not get it now: %s (V7, V11)', async (reason, change) => {
  const w = asked()
  change(w)
  expect(await whyNotAgain(w.pdp as never, point as never, w.request as never)).toBe(reason)
})

it('waits for its turn no longer than for its own deadline', async () => {
  const w = asked()
  const turns = new Turns()
  const [mine, another] = [turns.next(), turns.next()]
  const answer = w.ask(mine)
  another.leave()
  expect(await answer).toMatchObject({ decision: true })
  const over = asked()
  over.proofs.accept = async () => {
    over.time.passed = 60_000
    return 'accepted'
  }
  const late = await over.ask()
  expect(late).toMatchObject({ reason: 'deadline_exceeded', token: { jti: credentialId } })
  expect(late).not.toHaveProperty('digest')
})

it('is not decided before its turn, and not at all when that comes too late (V13)', async () => {
  const turned = async (passed: number) => {
    const w = asked()
    const turns = new Turns()
    const [before, mine] = [turns.next(), turns.next()]
    // The last step that the call waits for before its turn.
    w.active.readsAgentHistory = true
    const waits = Promise.withResolvers<void>()
    w.caughtUp.now = async () => waits.resolve()
    const answer = w.ask(mine)
    await waits.promise
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(w.writes).toEqual([])
    w.time.passed = passed
    before.leave()
    return { w, answer: await answer }
  }
  const inTime = await turned(0)
  expect(inTime.answer).toMatchObject({ decision: true })
  const late = await turned(60_000)
  expect(late.answer).toMatchObject({ reason: 'deadline_exceeded', token: { jti: credentialId }, digest })
  expect(late.w.writes).toEqual([])
})

it('writes nothing for whom the no was told while it waited in the order of its tree', async () => {
  const w = asked()
  const [held, begun] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  w.order.before = () => {
    begun.resolve()
    return held.promise
  }
  const first = w.ask()
  await begun.promise
  w.pdp.decisionDeadlineMs = 1
  w.request.observed.call_id = newId('call', now, systemRandom)
  expect(await w.ask()).toMatchObject({ decision: false, reason: 'deadline_exceeded' })
  held.resolve()
  expect(await first).toMatchObject({ decision: true })
  await expect.poll(() => w.queues.length, { timeout: 60_000, interval: 5 }).toBe(0)
  expect(w.writes).toHaveLength(1)
})

it('names each link of a chain in the event, with its own permission that is charged, and the arguments of all (V3, V5)', async () => {
  const w = asked()
  const [sub, key] = ['spiffe://example.org/agent/b/i1', generateKey('agent')]
  Object.assign(w.standing.grant.authority, { max_depth: 1, max_children: 1 })
  const bounds = [{ '/invoice': { eq: 'INV-2' } }, { '/invoice': { eq: 'INV-1' }, '/secret': { eq: 'x' } }]
  const permissions = bounds.map((where) => ({ actions: ['tools/call'], resource, where }))
  const authority = { type: 'bailiwick_task' as const, task: 't', permissions }
  const [iat, exp] = [now / 1000 - 1, now / 1000 + 30]
  const claims = {
    iss: agent,
    sub,
    aud: 'ins_0123456789abcdef',
    iat,
    exp,
    jti: 'passed-on-passed-on',
    cnf: { jkt: key.kid },
  }
  const links = { grant: root, as_of: 0, parent_hash: hash, authorization_details: [authority] }
  const delegation = signDelegation({ ...claims, ...links } as never, agentKey)
  const id = delegationId(delegation) ?? ''
  const record = { delegation_id: id, grant_id: root, delegation, agent: sub, instance_key: key.kid, authority }
  w.tree.delegations.set(id, { ...record, not_after: spell(exp * 1000) })
  Object.assign(w.intent, { jkt: key.kid, agent: sub, delegation_id: id })
  w.instances.set(sub, { agent: { id: 'spiffe://example.org/agent/b', owner: 'o', labels: [] } } as never)
  const credential = signAccessToken(
    {
      ...{ iss: issuer, aud: base, sub: agent, client_id: sub, act: { sub }, iat, exp, jti: credentialId },
      ...{ cnf: { jkt: key.kid }, authorization_details: [authority] },
      grant: {
        id: root,
        root,
        request: `req_${'1'.repeat(26)}`,
        mode: 'window',
        statement_hash: hash,
        as_of: 0,
        delegation: id,
      },
    } as never,
    credentialKey,
  )
  const made = { htm: 'POST', htu: `${base}mcp`, jti: 'proof-1-proof-1-proof-1', now }
  const proof = makeDpopProof({ ...made, accessToken: credential, actionDigest: digest }, key)
  Object.assign(w.request.observed, { credential, proof })
  const answer = await w.ask()
  expect(answer.decision || answer.reason).toBe(true)
  expect(w.writes[0]?.[0]?.data).toMatchObject({
    actor: { agent, delegation_id: id, sub_agent: sub },
    action: { arguments: { '/invoice': 'INV-1', '/secret': 'x' } },
    permission: 0,
    chain: [{ delegation_id: id, agent: sub, permission: 1 }],
  })
})

it('waits for what is not folded yet no longer than for its own deadline', async () => {
  const w = asked()
  const waits: number[] = []
  const until = async (find: () => unknown, ms: number) => {
    waits.push(ms)
    return find()
  }
  Object.assign(w.pdp.projection, { until })
  expect(await w.ask()).toMatchObject({ decision: true })
  expect(new Set(waits)).toEqual(new Set([60_000]))
})

it('obliges alike in the answer, in the permit and in the event', async () => {
  const w = asked()
  const duties = { redact: ['iban'], limitBytes: 9, notify: [{ to: 'ops', policies: ['all'] }] }
  Object.assign(w.active, { dutiesOf: () => duties })
  const answer = await w.ask()
  if (!answer.decision) return expect.unreachable(answer.reason)
  const about = {
    ...{ subject: agent, action: 'tools/call', resource },
    ...{ decision: true, decisionId: answer.decisionId },
  }
  const obligations = spellObligations(duties, about)
  expect(obligations).toHaveLength(3)
  expect(answer.obligations).toEqual(obligations)
  expect(permitOf(answer)).toMatchObject({ obligations })
  expect(w.writes[0]?.[0]?.data).toMatchObject({ obligations })
})

it('keeps a call where the installation wants it kept, with the salt of its hash, and no other', async () => {
  const called = async (takes: boolean, mode = 'window') => {
    const w = asked()
    Object.assign(w.standing.grant, { mode })
    Object.assign(w.standing.grant.statement, { action_digest: digest })
    const kept: unknown[][] = []
    const keptCalls = { takes: () => takes, keep: (...what: unknown[]) => kept.push(what) }
    Object.assign(w.pdp, { keptCalls })
    const answer = await w.ask()
    return { answer, kept, isKept: Object.hasOwn(w.writes[0]?.[0]?.data ?? {}, 'call_kept') }
  }
  const { answer, kept, isKept } = await called(true)
  const salt = permitOf(answer).action_salt
  expect(kept).toEqual([[answer.decisionId, { salt, text: actionText({ ...action, resource }) }]])
  expect(isKept).toBe(true)
  expect(await called(false)).toMatchObject({ answer: { decision: true }, kept: [], isKept: false })
  // A call that a human signed by its digest needs no salted hash.
  expect(await called(true, 'per_action')).toMatchObject({ answer: { decision: true }, kept: [], isKept: false })
})

it('names no arguments where the authority names none', async () => {
  const w = asked()
  Object.assign(w.standing.grant.authority, { permissions: [{ actions: ['tools/call'], resource }] })
  expect(await w.ask()).toMatchObject({ decision: true })
  expect(w.writes[0]?.[0]?.data).toMatchObject({ action: { name: 'tools/call' } })
  expect(w.writes[0]?.[0]?.data).not.toHaveProperty('action.arguments')
})

it('looks at no credential of a request that no event could name', async () => {
  const w = asked()
  let shown = 0
  w.proofs.accept = async () => `accepted ${shown++}`
  Object.assign(w.request, { action: { ...action, name: '' } })
  const answer = await w.ask()
  expect(answer).toMatchObject({ decision: false, reason: 'request_invalid' })
  expect(answer).not.toHaveProperty('token')
  expect(shown).toBe(0)
})

it('tells who must ask a human for what: the grant, and the arguments that it names; of any other no, neither', async () => {
  const answered = async (said: object) => {
    const w = asked()
    const times = { judged: 0, waited: 0 }
    Object.assign(w.active.engine, { evaluate: () => ++times.judged && { ...w.said, ...said } })
    const newest = async () => {
      times.waited++
      return []
    }
    Object.assign(w.pdp.stepUps, { newest })
    return { answer: await w.ask(), ...times }
  }
  const stepUp = await answered({ outcome: 'step_up', policies: ['y'], permits: ['all'] })
  expect(stepUp.answer).toMatchObject({
    ...{ decision: false, reason: 'step_up_required', grant: root, arguments: { '/invoice': 'INV-1' } },
    ...{ token: { jti: credentialId }, digest, policies: ['y'], policySet: 'set' },
  })
  expect(stepUp).toMatchObject({ judged: 1, waited: 1 }) // no approval arrived meanwhile, so the call is not judged again
  const denied = await answered({ outcome: 'deny', policies: ['n'] })
  expect(denied.waited).toBe(0) // a human's yes could not change this denial
  expect(denied.answer).toMatchObject({ reason: 'policy_denied', token: { jti: credentialId }, digest })
  for (const member of ['grant', 'arguments']) expect(denied.answer).not.toHaveProperty(member)
})

it('asks a human’s yes that came meanwhile before it sends anybody for one', async () => {
  const w = asked()
  Object.assign(w.said, { outcome: 'step_up', policies: ['y'], permits: ['all'] })
  const stepUp = { requestId: 'req_2', actionDigest: digest, approvedAt: now, notAfter: now + 1, approverIds: ['eve'] }
  Object.assign(w.pdp.stepUps, {
    newest: async () => [stepUp],
    find: ({ stepUps }: { stepUps: unknown[] }) => stepUps[0],
  })
  expect(await w.ask()).toMatchObject({ decision: true })
  expect(w.writes[0]?.[0]?.data).toMatchObject({ step_up: 'req_2' })
  const gone = asked()
  Object.assign(gone.said, { outcome: 'step_up', policies: ['y'], permits: ['all'] })
  Object.assign(gone.pdp.stepUps, {
    newest: async () => [stepUp],
    find: ({ stepUps }: { stepUps: unknown[] }) => stepUps[0],
    stands: () => false,
  })
  expect(await gone.ask()).toMatchObject({ decision: false, reason: 'step_up_required' })
})

it('turns away what an agent asks beyond what it may have under way, and does nothing for it (V18)', async () => {
  const w = asked()
  const held = Promise.withResolvers<void>()
  w.active.readsAgentHistory = true
  w.caughtUp.now = () => held.promise
  const first = [w.ask(), w.ask()]
  await expect(w.ask()).rejects.toMatchObject({ code: 'queue_full' })
  held.resolve()
  expect((await Promise.all(first)).map(({ decision }) => decision)).toEqual([true, false])
  expect(w.writes).toHaveLength(1)
})
