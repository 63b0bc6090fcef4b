import { generateKey, sha256 } from '@bailiwick/credentials'
import { type Bundle, parseBundle, type TraceStep, tell, verifyBundle } from '@bailiwick/verify'
import { expect, it } from 'vitest'
import type { Running } from '../evidence.fixture.ts'
import { helper, Later, mayCall, tool } from './later.fixture.ts'
import { type Lies, type Story, told } from './story.fixture.ts'

const passedOn: Lies = {
  authority: { permissions: mayCall('invoices.read', 'invoices.adjust'), max_depth: 2, max_children: 9 },
}

async function get<T>(evidence: Running, url: string): Promise<T> {
  const { statusCode, body } = await evidence.operator.inject({ method: 'GET', url })
  expect([url, statusCode]).toEqual([url, 200])
  return JSON.parse(body) as T
}
const traced = (evidence: Running, id: string) =>
  get<{ verified: boolean; steps: TraceStep[] }>(evidence, `/v1/trace/${id}`)
const proved = async (evidence: Running, id: string) =>
  parseBundle(Buffer.from(JSON.stringify(await get<object>(evidence, `/v1/bundle/${id}`))))
/** The steps that do not verify, and why. */
const problems = ({ steps }: { steps: TraceStep[] }) =>
  steps.flatMap(({ type, verified, problem }) => (verified ? [] : [[type, problem]]))
const verified = ({ log }: Story, bundle: Bundle) => verifyBundle(bundle, { log })

it('leads what a sub-agent did back to who passed it on, whose signature is verified again (V5, V6)', async () => {
  await told(passedOn, async (story, ids, evidence, bus) => {
    const later = new Later(story, ids, evidence, bus)
    const one = helper('spiffe://acme.example/agent/helper/one')
    const decision = await later.acts(one, { delegation_id: await later.passesOn(one, {}) })
    const trace = await traced(evidence, decision)
    expect(problems(trace)).toEqual([])
    expect(trace.steps.find(({ kind }) => kind === 'delegation')?.signed_by).toEqual([later.grant.agent])
    const report = await verified(story, await proved(evidence, decision))
    if (!report.ok) return expect.fail(report.reason)
    const words = report.steps.map(tell).join('\n')
    expect(words).toContain(
      `${later.grant.agent} passed a part of it on to ${one.id}, and signed that with its own key`,
    )
    expect(words).toContain(`had asked for ${one.id}, to whom ${later.grant.agent} had passed it on`)
  })
})

it('proves nothing that was not passed on, or done by whom it was not passed on to, or too late (V5, V6)', async () => {
  await told(passedOn, async (story, ids, evidence, bus) => {
    const later = new Later(story, ids, evidence, bus)
    const [one, other] = ['one', 'two'].map((name) => helper(`spiffe://acme.example/agent/helper/${name}`))
    if (one === undefined || other === undefined) return expect.fail('two helpers')
    const delegation_id = await later.passesOn(one, {})
    const adjust = { name: 'tools/call', resource: tool('invoices.adjust'), call: { salted_sha256: sha256('adjust') } }
    const own = { id: later.grant.agent, key: story.agentKey }
    const past = Math.floor(Date.now() / 1000) - 60
    const cases: [what: string, decision: string, expected: [string, string][]][] = [
      [
        'beyond what was passed on, within the grant',
        await later.acts(one, { delegation_id }, { action: adjust }),
        [['decision.allowed', 'action_not_granted']],
      ],
      [
        'by a delegation that the issuer made up',
        await later.acts(other, { delegation_id: await later.passesOn(other, {}, {}, other.key) }),
        [
          ['decision.allowed', 'delegation_invalid'],
          ['credential.intended', 'delegation_invalid'],
          ['delegation.redeemed', 'delegation_invalid'],
        ],
      ],
      [
        'by one of which the issuer says more than was signed',
        await later.acts(other, {
          delegation_id: await later.passesOn(other, {}, { authority: later.grant.authority }),
        }),
        [
          ['decision.allowed', 'delegation_invalid'],
          ['credential.intended', 'delegation_invalid'],
          ['delegation.redeemed', 'delegation_invalid'],
        ],
      ],
      [
        'by one that had ended',
        await later.acts(other, { delegation_id: await later.passesOn(other, { iat: past - 60, exp: past }) }),
        [
          ['decision.allowed', 'delegation_expired'],
          ['credential.intended', 'grant_expired'],
        ],
      ],
      [
        'by a credential that had expired',
        await later.acts(own, { expires_at: new Date(past * 1000).toISOString() }),
        [['decision.allowed', 'credential_expired']],
      ],
      [
        'by the credential of an agent without a delegation',
        await later.acts(other, { delegation_id }),
        [
          ['decision.allowed', 'grant_agent_mismatch'],
          ['credential.intended', 'grant_agent_mismatch'],
        ],
      ],
      [
        'in the name of the agent whose grant it is',
        await later.acts(one, { delegation_id }, {}, later.grant.agent),
        [['decision.allowed', 'grant_agent_mismatch']],
      ],
    ]
    for (const [what, decision, expected] of cases) {
      const found = problems(await traced(evidence, decision))
      expect([what, found.toSorted()]).toEqual([what, expected.toSorted()])
      expect([what, (await verified(story, await proved(evidence, decision))).ok]).toEqual([what, false])
    }
  })
})

it('brings along who said yes to this one action, and proves none without (V3)', async () => {
  await told({}, async (story, ids, evidence, bus) => {
    const later = new Later(story, ids, evidence, bus)
    const own = { id: later.grant.agent, key: story.agentKey }
    const digest = sha256('this very action')
    const action = { name: 'tools/call', resource: tool('invoices.read'), action_digest: digest }
    const step_up = await later.saysYes(digest)
    const decision = await later.acts(own, {}, { action, step_up })
    const trace = await traced(evidence, decision)
    expect(problems(trace)).toEqual([])
    const signers = trace.steps
      .filter(({ kind }) => kind === 'approval')
      .map(({ subject, signed_by }) => [subject, signed_by])
    expect(signers.toSorted()).toEqual([ids.request_id, step_up].toSorted().map((id) => [id, ['fiona']]))
    const { events } = await get<{ events: { event_id: string }[] }>(evidence, `/v1/events?id=${step_up}&type=decision`)
    expect(events).toHaveLength(1)

    const bundle = await proved(evidence, decision)
    const report = await verified(story, bundle)
    if (!report.ok) return expect.fail(report.reason)
    expect(report.steps.map(tell).join('\n')).toContain('people had said yes to this very action')
    const isTheYes = ({ bytes }: Bundle['leaves'][number]) =>
      /"type":"request.approved".*"kind":"step_up"/.test(Buffer.from(bytes).toString())
    const leaves = bundle.leaves.filter((leaf) => !isTheYes(leaf))
    expect(leaves).toHaveLength(bundle.leaves.length - 1)
    expect(await verified(story, { ...bundle, leaves })).toMatchObject({ ok: false, reason: 'statement_unknown' })

    for (const said of [`req_${'A'.repeat(43)}`, await later.saysYes(sha256('another')), ids.request_id]) {
      const lie = await later.acts(own, {}, { action, step_up: said })
      expect(problems(await traced(evidence, lie))).toEqual([['decision.allowed', 'statement_unknown']])
    }
    const unsigned = await later.acts(own, {}, { action, step_up: await later.saysYes(digest, sha256('another')) })
    expect((await verified(story, await proved(evidence, unsigned))).ok).toBe(false)
  })
})

it('names to a SIEM only people with a valid signature for this one action (V3)', async () => {
  await told({}, async (story, ids, evidence, bus) => {
    const later = new Later(story, ids, evidence, bus)
    const own = { id: later.grant.agent, key: story.agentKey }
    const digest = sha256('this very action')
    const action = { name: 'tools/call', resource: tool('invoices.read'), action_digest: digest }
    const yes = [
      await later.saysYes(digest),
      await later.saysYes(sha256('another')),
      await later.saysYes(digest, digest, story.agentKey.kid),
      `req_${'A'.repeat(43)}`,
    ]
    const decisions: string[] = []
    for (const step_up of yes) decisions.push(await later.acts(own, {}, { action, step_up }))
    const said = new Map<string, unknown>()
    await using follower = await bus.follow(['evidence.v1'], 'start', async (batch) => {
      for (const { bytes } of batch) {
        const { data } = JSON.parse(Buffer.from(bytes).toString())
        said.set(data.bailiwick.decision_id, data.bailiwick.step_up)
      }
    })
    await follower.caughtUp
    await expect.poll(() => decisions.every((id) => said.has(id)), { timeout: 60_000 }).toBe(true)
    expect(decisions.map((id) => said.get(id))).toEqual([
      { request_id: yes[0], approvers: ['fiona'] },
      { request_id: yes[1], approvers: [], problem: 'action_digest_mismatch' },
      { request_id: yes[2], approvers: [], problem: 'approver_unknown' },
      { request_id: yes[3], approvers: [], problem: 'access_request_unknown' },
    ])
  })
})

it.each<['attested' | undefined, [string, string][]]>([
  ['attested', []],
  [undefined, [['grant.rebound', 'grant_agent_mismatch']]],
])(
  'tells of a grant that moved to another instance, where people said that it may: %s (V3, V6)',
  async (rebind, expected) => {
    await told(rebind === undefined ? {} : { rebind }, async (story, ids, evidence, bus) => {
      const later = new Later(story, ids, evidence, bus)
      const moved = helper(`${story.agent.id}/two`)
      await later.moves(moved)
      const decision = await later.acts(moved)
      const trace = await traced(evidence, decision)
      expect(trace.steps.map(({ type }) => type)).toContain('grant.rebound')
      expect(problems(trace)).toEqual(expected)
      const report = await verified(story, await proved(evidence, decision))
      expect(report.ok).toBe(expected.length === 0)
      if (report.ok) expect(report.steps.map(tell).join('\n')).toContain(`the grant moved to ${moved.id}`)
    })
  },
)

it('proves what was done although its agent was retired since, and its enforcement point has another key (V3)', async () => {
  await told({}, async (story, ids, evidence, bus) => {
    const later = new Later(story, ids, evidence, bus)
    const { point } = story
    const next = { ...point, outcome_jwk: generateKey('outcome').publicJwk as typeof point.outcome_jwk }
    await later.changes('agent', story.agent)
    await later.changes('enforcement-point', point, next)
    const decision = ids.decisions[0] ?? ''
    await expect
      .poll(async () => (await traced(evidence, story.agent.id)).steps.map(({ type }) => type))
      .toContain('agent.retired')
    expect(problems(await traced(evidence, decision))).toEqual([])
    expect(await verified(story, await proved(evidence, decision))).toMatchObject({ ok: true })
    expect(problems(await traced(evidence, story.agent.id))).toEqual([])
  })
})

it('does not verify an unauthorised change of the registry (V3)', async () => {
  await told({}, async (story, ids, evidence, bus) => {
    const later = new Later(story, ids, evidence, bus)
    await later.changes('agent', { ...story.agent, owner: 'mallory' })
    expect(problems(await traced(evidence, story.agent.id))).toEqual([['agent.retired', 'registry_change_refused']])
  })
})
