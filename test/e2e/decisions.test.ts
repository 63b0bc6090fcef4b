import { generateKey, publicKeyOf, verifyPermit } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { sample, sampleAuthority } from '@bailiwick/standalone/sample'
import { expect, it } from 'vitest'
import { adjust, askTokenWithNonce, type CallAnswer, credentialFor, Point, read } from './agent-side.ts'
import { type Granted, granted } from './granted.ts'
import { Thief } from './thief.ts'
import { eventually } from './world.ts'

it('allows what was approved, with a permit of at most 5 s for exactly that action, once the decision is durable (V1, V2)', async () => {
  await using system = await granted()
  const { world, credential, point } = system
  const answer = await point.call({ credential, ...read })
  expect(answer).toMatchObject({ decision: true })
  const permit = verifyPermit({
    permit: answer.permit ?? '',
    key: publicKeyOf(world.key('policy-decision', 'permit', 'permit')),
    issuer: world.url,
    enforcementPoint: sample.enforcementPoint,
    instance: undefined,
    actionDigest: answer.digest,
    now: world.clock.now(),
    leewayMs: 0,
  })
  if (!permit.ok) throw new Error(permit.detail)
  expect(permit.value.exp - permit.value.iat).toBeLessThanOrEqual(5)
  expect(permit.value.jti).toBe(answer.decisionId)
  const allowed = (await world.events('decisions.v1')).find(({ type }) => type === 'decision.allowed')
  expect(allowed).toMatchObject({ subject: answer.decisionId, version: 1 })
})

it.each([false, true])(
  'names a call in events and outcomes by a salted hash, from which it cannot be guessed; kept: %s (V17)',
  async (keepCalls) => {
    await using system = await granted({ pdp: { keepCalls } })
    const { world, credential, point } = system
    const observed = { call_id: 'call_aaaaaaaaaaaaaaaa' }
    const answer = await point.call({ credential, ...adjust('100'), observed })
    expect(await point.report(point.outcome(answer, observed.call_id, 'succeeded'))).toBe(204)
    const { text } = point.body({ credential, ...adjust('100') })
    const events = await world.events('decisions.v1')
    const allowed = events.find(({ type }) => type === 'decision.allowed')
    expect(allowed?.data).toMatchObject({ action: { call: { salted_sha256: answer.actionHash } } })
    expect(JSON.stringify(events)).not.toContain(answer.digest)
    const signed = events.map(({ data }) => Buffer.from(String(Object(data).outcome).split('.')[1] ?? '', 'base64url'))
    expect(Buffer.concat(signed).toString()).toContain(answer.actionHash)
    expect(Buffer.concat(signed).toString()).not.toContain(answer.digest)
    const attachments = () => world.events('attachments.policy-decision.v1')
    expect(Object(allowed?.data).call_kept).toBe(keepCalls ? true : undefined)
    if (!keepCalls) return expect(await attachments()).toEqual([])
    const attachment_id = `att_${answer.actionHash}`
    const stored = await eventually(async () => (await attachments()).find(({ subject }) => subject === attachment_id))
    expect(stored).toMatchObject({ type: 'attachment.stored', data: { about: answer.decisionId, text } })
    const order = { reason: 'secret', values: [{ attachment_id, about: answer.decisionId }] }
    const { statusCode } = await world.operator.inject({ method: 'POST', url: '/operator/calls/erase', payload: order })
    expect(statusCode).toBe(200)
    await eventually(async () => ((await attachments()).at(-1)?.type === 'attachment.erased' ? true : undefined))
  },
)

it('gives no permit before its decision is durable and read back (V1, V2)', async () => {
  const gate = Promise.withResolvers<void>()
  let recorded = false
  await using system = await granted({
    wrapRecord: (record) => async (drafts) => {
      if (!drafts.some(({ type }) => type === 'decision.allowed')) return record(drafts)
      await gate.promise
      recorded = true
      return record(drafts)
    },
  })
  let answered = false
  const answer = system.point.call({ credential: system.credential, ...read }).then((given) => {
    answered = true
    return given
  })
  await new Promise((resolve) => setTimeout(resolve, 200))
  expect([answered, recorded]).toEqual([false, false])
  gate.resolve()
  expect(await answer).toMatchObject({ decision: true })
  expect(recorded).toBe(true)
})

it('counts a proof once, however often it is sent (V10)', async () => {
  await using system = await granted()
  const { point, credential } = system
  const { body } = point.body({ credential, ...read })
  const answers = await Promise.all(Array.from({ length: 8 }, () => point.send(body)))
  const reasons = answers.map((answer) => answer.json()).map(({ decision, context }) => decision || context.reason)
  expect(reasons.filter((reason) => reason === true)).toHaveLength(1)
  expect(reasons.filter((reason) => reason === 'proof_replayed')).toHaveLength(7)
  expect(system.taken()).toBe(1n)
})

it('gives a repeated call id its first answer, takes once, and records a denial once (V10)', async () => {
  await using system = await granted()
  const { point, credential } = system
  const observed = { call_id: 'call_0123456789abcdef' }
  const [first, ...others] = await Promise.all(
    Array.from({ length: 5 }, () => point.call({ credential, ...read, observed })),
  )
  for (const other of others) expect(other).toMatchObject({ decision: true, permit: first?.permit })
  expect(system.taken()).toBe(1n)

  const wrong = { credential, ...adjust('501'), observed: { call_id: 'call_fedcba9876543210' } }
  const denied = await point.call(wrong)
  expect(await point.call(wrong)).toMatchObject({ reason: 'argument_out_of_bounds', decisionId: denied.decisionId })
  await system.event(denied.decisionId)
  const events = await system.world.events('decisions.v1')
  expect(events.filter(({ subject }) => subject === denied.decisionId)).toHaveLength(1)
})

/** An ALLOW is remembered for the life of its permit; a repetition that a busy machine delays beyond that is tried again. */
async function whileItsPermitLives<T extends { first: CallAnswer }>(
  { world }: Pick<Granted, 'world'>,
  ask: (observed: { call_id: string }) => Promise<T>,
  check: (asked: T) => void,
): Promise<T> {
  let calls = 0
  return eventually(async () => {
    const asked = await ask({ call_id: `call_${String(calls++).padStart(16, '0')}` })
    expect(asked.first).toMatchObject({ decision: true })
    const { exp } = JSON.parse(Buffer.from(asked.first.permit?.split('.')[1] ?? '', 'base64url').toString())
    if (world.clock.now() >= exp * 1000) return undefined
    check(asked)
    return asked
  })
}

it('never gives a call id’s answer for another action or to another credential (V1, V10)', async () => {
  await using system = await granted()
  const { world, point, grant } = system
  const other = await credentialFor(world, grant.grantId)
  const { credential } = system
  const { taken } = await whileItsPermitLives(
    system,
    async (observed) => {
      const before = system.taken()
      const first = await point.call({ credential, ...read, observed })
      const asked = [
        await point.call({ credential, ...adjust('1'), observed }),
        await point.call({ credential: other, ...read, observed }),
      ]
      return { first, asked, taken: system.taken() - before }
    },
    ({ asked }) => expect(asked).toMatchObject([{ reason: 'call_conflict' }, { reason: 'call_conflict' }]),
  )
  expect(taken).toBe(1n)
})

it('repeats no ALLOW without the key, or after a revocation (V7, V11)', async () => {
  await using system = await granted()
  const { world, point, credential, grant } = system
  await point.call({ credential, ...adjust('501') }) // fetches the nonce
  const { observed } = await whileItsPermitLives(
    system,
    async (observed) => {
      const first = await point.call({ credential, ...read, observed })
      return { observed, first, again: await point.call({ credential, ...read, observed }) }
    },
    ({ first, again }) => expect(again).toMatchObject({ decision: true, permit: first.permit }),
  )
  // A thief who saw the credential and call id, without a key or with another key.
  const thief = { ...observed, proof: 'x.y.z' }
  expect(await point.call({ credential, ...read, observed: thief })).toMatchObject({ reason: 'proof_invalid' })
  const proofKey = generateKey('agent')
  expect(await point.call({ credential, ...read, observed, proofKey })).toMatchObject({ reason: 'proof_key_mismatch' })

  const last = { call_id: 'call_aaaaaaaaaaaaaaaa' }
  expect(await point.call({ credential, ...read, observed: last })).toMatchObject({ decision: true })
  expect(await world.revoke('grant', grant.grantId)).toBe(200)
  await eventually(async () => (await point.call({ credential, ...read })).reason === 'grant_revoked' || undefined)
  expect(await point.call({ credential, ...read, observed: last })).toMatchObject({ reason: 'grant_revoked' })
})

it('does not remember the request for a nonce as the answer to a call (V10)', async () => {
  await using system = await granted()
  const { point, credential } = system
  const observed = { call_id: 'call_0123456789abcdef' }
  const old = { nonce: undefined, now: system.world.clock.now() - 30_000 }
  expect(await point.once({ credential, ...read, observed, proof: old })).toMatchObject({
    reason: 'proof_nonce_required',
  })
  expect(await point.once({ credential, ...read, observed })).toMatchObject({ decision: true })
})

it('denies a call id that another instance decided (V10)', async () => {
  await using system = await granted()
  const { world, credential } = system
  const second = await world.startPdp()
  const observed = { call_id: 'call_0123456789abcdef' }
  expect(await system.point.call({ credential, ...read, observed })).toMatchObject({ decision: true })
  const other = new Point(world, second.http)
  await other.call({ credential, ...adjust('501') })
  await eventually(() => second.pdp.projection.ledger.decisions.trees.get(system.grant.grantId))
  expect(await other.call({ credential, ...read, observed })).toMatchObject({ reason: 'call_elsewhere' })
})

it('denies and counts every call of an enforcement point that the registry does not know', async () => {
  await using system = await granted()
  const { point, credential } = system
  const { body } = point.body({ credential, ...read })
  for (const caller of ['', 'abc', point.assertion().replace(/..$/, 'AA')])
    expect((await point.send(body, caller)).statusCode).toBe(401)
  expect(system.taken()).toBe(0n)
})

it('allows an individually approved action once, and no other action (V1, V10)', async () => {
  const probe = await granted()
  const { digest } = probe.point.body({ credential: 'any', ...adjust('20') })
  const { digest: deletion } = probe.point.body({ credential: 'any', tool: 'delete', properties: { id: '7' } })
  const { world, people, point } = probe
  await using _ = probe
  const authority = { ...sampleAuthority, permissions: [sampleAuthority.permissions[1]] }
  const grant = await people.grant({ mode: 'per_action', authority, actionDigest: digest })
  const credential = await credentialFor(world, grant.grantId)
  expect(await point.call({ credential, ...adjust('21') })).toMatchObject({ reason: 'action_not_granted' })
  const racers = await Promise.all(Array.from({ length: 6 }, () => point.call({ credential, ...adjust('20') })))
  expect(racers.filter(({ decision }) => decision)).toHaveLength(1)
  expect(racers.filter(({ reason }) => reason === 'uses_reserved')).toHaveLength(5)

  // An action that was not executed may not be repeated either: a human approved it once.
  const tool = [{ actions: ['tools/call'], resource: { type: 'tool', id: `${sample.toolServer}/delete` } }]
  const once = await people.grant({
    mode: 'per_action',
    authority: { ...sampleAuthority, permissions: tool },
    actionDigest: deletion,
  })
  const destroying = await credentialFor(world, once.grantId)
  const ask = { credential: destroying, tool: 'delete', properties: { id: '7' } }
  const callId = 'call_aaaaaaaaaaaaaaaa'
  const allowed = await point.call({ ...ask, observed: { call_id: callId } })
  expect(allowed).toMatchObject({ decision: true })
  expect(await point.report(point.outcome(allowed, callId, 'not_executed'))).toBe(204)
  // Its use is taken, and soon the issuer completes the grant.
  expect(['uses_exhausted', 'grant_not_active']).toContain((await point.call(ask)).reason)
})

it('aggregates an agent’s denials beyond ten a second (V18)', async () => {
  // A busy machine may take any time for this many concurrent calls.
  await using system = await granted({ pdp: { decisionDeadlineMs: 60_000, maxStalenessMs: 60_000 } })
  const { point, credential, world } = system
  const began = world.clock.now()
  const answers = await Promise.all(Array.from({ length: 60 }, () => point.call({ credential, ...adjust('501') })))
  // A busy machine takes many seconds for them, and a quiet one a part of a second; this many seconds may contain some.
  const seconds = Math.ceil((world.clock.now() - began) / 1000) + 1
  expect(answers.every(({ reason }) => reason === 'argument_out_of_bounds')).toBe(true)
  await system.world.pdp[Symbol.asyncDispose]()
  const events = await world.events('decisions.v1')
  const single = events.filter(
    ({ type, data }) => type === 'decision.denied' && 'reason' in data && data.reason === 'argument_out_of_bounds',
  )
  expect(single.length).toBeLessThanOrEqual(10 * seconds + 1) // including the one by which the point fetched its nonce
  const counted = events
    .flatMap((event) => (event.type === 'denials.summarised' ? event.data.denials : []))
    .filter(({ reason }) => reason === 'argument_out_of_bounds')
  expect(counted.reduce((sum, { count }) => sum + count, single.length)).toBe(61)
})

const failing = () => {
  throw new ServiceError('internal', 'broken on purpose')
}

it('denies when the policies cannot be evaluated, and when they are not the set in the registry (V13)', async () => {
  await using system = await granted()
  const { world, point, credential } = system
  const { policies } = world.pdp.pdp
  const active = policies.current()
  if (!active) throw new Error('no active set')
  const ask = async (current: typeof policies.current) => {
    policies.current = current
    return (await point.call({ credential, ...read })).reason
  }
  expect(await ask(failing)).toBe('internal')
  const logged: unknown[] = []
  world.logger.error = (fields: unknown) => void logged.push(fields)
  expect(await ask(() => ({ ...active, engine: { ...active.engine, evaluate: failing } }))).toBe('internal')
  // The denial says nothing about the cause, so the operator must be able to find it in the log.
  expect(logged).toMatchObject([{ err: { detail: 'broken on purpose' }, tree: expect.stringMatching(/^grt_/) }])
  expect(await ask(() => undefined)).toBe('policy_error')
  const erring = { ...active.engine, evaluate: () => ({ outcome: 'error' as const, policies: ['x'] }) }
  expect(await ask(() => ({ ...active, engine: erring }))).toBe('policy_error')
  expect(system.taken()).toBe(0n)
})

it.each([
  ['cannot be recorded', 'evidence_unavailable', () => Promise.reject(new ServiceError('deadline_exceeded'))],
  [
    'turns out void three times',
    'state_contended',
    async (drafts: readonly unknown[]) =>
      drafts.map(() => ({ id: '', position: { topic: '', partition: 0, offset: 0 }, verdict: 'void' as const })),
  ],
] as const)('denies what %s (V2, V13)', async (_, reason, broken) => {
  let breaks = false
  await using system = await granted({
    wrapRecord: (record) => (drafts) =>
      breaks && drafts[0]?.type === 'decision.allowed' ? broken(drafts) : record(drafts),
  })
  breaks = true
  expect(await system.point.call({ credential: system.credential, ...read })).toMatchObject({ reason })
  breaks = false
  expect(await system.point.call({ credential: system.credential, ...read })).toMatchObject({ decision: true })
  expect(system.taken()).toBe(1n)
})

it('denies at its deadline, and takes the decision back if it was recorded as an ALLOW after all (V2, V9)', async () => {
  const gate = Promise.withResolvers<void>()
  let holds = false
  let held: string | undefined
  await using system = await granted({
    pdp: { decisionDeadlineMs: 400 },
    wrapRecord: (record) => async (drafts) => {
      const [first] = drafts
      if (holds && first?.type === 'decision.allowed') {
        held ??= first.subject
        await gate.promise
      }
      return record(drafts)
    },
  })
  holds = true
  // Repeats until a call gets this far: on a busy machine the deadline may pass earlier, and a call may get this far
  // after its answer.
  const answers: CallAnswer[] = []
  const late = await eventually(async () => {
    answers.push(await system.point.call({ credential: system.credential, ...read }))
    return answers.find(({ decisionId }) => decisionId === held)
  })
  expect(late).toMatchObject({ decision: false, reason: 'deadline_exceeded' })
  await system.event(late.decisionId) // its denial, which is published after its answer
  gate.resolve()
  const events = await eventually(async () => {
    const all = (await system.world.events('decisions.v1')).filter(({ subject }) => subject === late.decisionId)
    return all.some(({ type }) => type === 'decision.abandoned') ? all : undefined
  })
  expect(events.map(({ type }) => type)).toEqual(['decision.denied', 'decision.allowed', 'decision.abandoned'])
  await eventually(() => system.taken() === 0n || undefined)
})

it('trusts a grant only through the humans’ signatures: a changed statement or assertion gives approval_unverified (V3)', async () => {
  await using system = await granted()
  const { world, people, point } = system
  const issuer = await Thief.of(world, 'issuer')
  const received = await people.ask()
  const fresh = () => people.statement(received)
  const tampered = [
    (() => {
      const said = fresh()
      const generous = { ...said, authority: { ...said.authority, budget: { calls: 1_000_000 } } }
      return [generous, people.sign(said)] as const
    })(),
    (() => {
      const [said, other] = [fresh(), fresh()]
      return [said, { ...people.sign(said), signature: people.sign(other).signature }] as const
    })(),
    (() => {
      const said = fresh()
      return [said, { ...people.sign(said), credential_id: 'A'.repeat(43) }] as const
    })(),
    (() => {
      const said = fresh()
      return [{ ...said, as_of: 99 }, people.sign(said)] as const
    })(),
  ]
  for (const [statement, assertion] of tampered) {
    const forged = await issuer.create(received.request_id, statement, [assertion])
    const credential = await issuer.mint(forged)
    expect(await point.call({ credential, ...read })).toMatchObject({ reason: 'approval_unverified' })
  }
  const statement = fresh()
  const honest = await issuer.create(received.request_id, statement, [people.sign(statement)])
  expect(await point.call({ credential: await issuer.mint(honest), ...read })).toMatchObject({ decision: true })
})

it('the log has an intent for each credential, with everything the credential says (V4)', async () => {
  await using system = await granted()
  const { world, grant } = system
  const { token } = await askTokenWithNonce(world, { details: [{ type: 'bailiwick_grant', grant_id: grant.grantId }] })
  const claims = JSON.parse(Buffer.from(token?.split('.')[1] ?? '', 'base64url').toString())
  const types = (await world.events('grants.v1'))
    .filter(({ subject }) => subject === claims.jti)
    .map(({ type }) => type)
  expect(types).toEqual(['credential.intended', 'credential.issued'])
})

it('denies a compared argument that does not fit into the event, because auditors judge by the event (V3)', async () => {
  const permission = { ...sampleAuthority.permissions[0], where: { '/id': { prefix: 'INV-1' } } }
  await using system = await granted({}, { authority: { ...sampleAuthority, permissions: [permission] } })
  const { point, credential } = system
  const ask = (id: string) => point.call({ credential, tool: 'read', properties: { id, note: 'x'.repeat(5000) } })
  const long = 'INV-1'.padEnd(2048, 'x')
  expect(await ask(`${long}x`)).toMatchObject({ decision: false, reason: 'argument_out_of_bounds' })
  const allowed = await ask(long)
  expect(allowed).toMatchObject({ decision: true })
  expect(await system.event(allowed.decisionId)).toMatchObject({ data: { action: { arguments: { '/id': long } } } })
})
