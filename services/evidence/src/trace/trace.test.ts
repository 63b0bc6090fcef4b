import { grantOf } from '@bailiwick/approval-statement'
import { generateKey, KeyRing, sha256 } from '@bailiwick/credentials'
import { Ledger } from '@bailiwick/projection'
import { flatten, type TraceStep, traceLeaf, traceOf } from '@bailiwick/verify'
import { expect, it } from 'vitest'
import type { Running } from '../evidence.fixture.ts'
import { type Lies, told } from './story.fixture.ts'

async function trace(evidence: Running, id: string) {
  const { statusCode, body } = await evidence.http.inject({ method: 'GET', url: `/v1/trace/${encodeURIComponent(id)}` })
  expect(statusCode).toBe(200)
  return JSON.parse(body) as { verified: boolean; truncated: boolean; steps: TraceStep[]; trees: TraceStep[] }
}

const kinds = (steps: readonly TraceStep[]) => steps.map(({ kind }) => kind)

it('leads one action back to the signatures of human and agent, each verified again (V3)', async () => {
  await told({}, async (story, { decisions, instance }, evidence) => {
    const { entries } = await story.verified()
    const { steps, trees, verified } = await trace(evidence, decisions[0] ?? '')
    expect(kinds(steps)).toEqual(['outcome', 'decision', 'credential', 'grant', 'approval', 'request'])
    expect(steps.map(({ signed_by }) => signed_by)).toEqual([
      ['erp-gateway'],
      undefined,
      undefined,
      undefined,
      ['fiona'],
      [instance],
    ])
    expect(verified).toBe(true)
    for (const { leaf_index, event_id, time, type, data } of steps)
      expect(JSON.parse(entries[leaf_index] ?? '')).toMatchObject({ id: event_id, time, type, data })
    expect(trees).toHaveLength(1)
    expect(trees[0]?.steps[0]?.steps[0]?.kind).toBe('grant')
  })
})

it('tells the story of a grant, request, credential, agent, instance, approver, passkey, task or point', async () => {
  await told({}, async (story, { request_id, grant_id, credential_id, task, instance }, evidence) => {
    const whole = [request_id, grant_id, task, story.agent.id, instance]
    for (const id of whole) {
      const { steps, verified } = await trace(evidence, id)
      const told = kinds(steps).filter((kind) => kind !== 'registry')
      expect(told.toSorted(), id).toEqual(
        [
          'approval',
          'credential',
          'credential',
          'decision',
          'decision',
          'grant',
          'outcome',
          'outcome',
          'request',
        ].toSorted(),
      )
      expect(verified, id).toBe(true)
    }
    expect(kinds((await trace(evidence, credential_id)).steps).filter((kind) => kind === 'credential')).toHaveLength(1)
    expect(kinds((await trace(evidence, 'erp-gateway')).steps).filter((kind) => kind === 'outcome')).toHaveLength(2)
    for (const id of ['fiona', story.passkey.credential.credential_id])
      expect(kinds((await trace(evidence, id)).steps), id).toContain('approval')
  })
})

it('believes no step that a certified service did not sign (V12)', async () => {
  await told({}, async (story) => {
    const leaves = (await story.verified()).entries.flatMap((entry, n) => traceLeaf(n, Buffer.from(entry)) ?? [])
    const { registry } = new Ledger({ judge: async () => true, base: false })
    const found = leaves.filter(({ event }) => !event.type.endsWith('.registered'))
    const steps = flatten(
      await traceOf(found, leaves, { trust: story.trust, keyRing: new KeyRing(story.trust), registry }),
    )
    expect(steps.length).toBeGreaterThan(5)
    for (const step of steps) expect(step).toMatchObject({ verified: false, problem: 'key_unknown' })
  })
})

it('gives 404 for what the log does not name', async () => {
  await told({}, async (_story, _ids, evidence) => {
    const url = '/v1/trace/dec_00000000000000000000000000'
    expect((await evidence.http.inject({ method: 'GET', url })).statusCode).toBe(404)
  })
})

const flipped = (signature: string) =>
  `${signature.slice(0, 20)}${signature[20] === 'A' ? 'B' : 'A'}${signature.slice(21)}`
it.each<[string, Lies, TraceStep['kind'], string]>([
  [
    'an approval service that makes up an assertion',
    { assertion: (assertion) => ({ ...assertion, signature: flipped(assertion.signature) }) },
    'approval',
    'assertion_invalid',
  ],
  [
    'an approval service that makes up a request',
    { received: ({ request }) => ({ request: request.replace(/[^.]+$/, flipped) }) },
    'request',
    'signature_invalid',
  ],
  [
    'an approval service that renders another request than was asked',
    { received: () => ({ request_hash: 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' }) },
    'request',
    'access_request_conflict',
  ],
  [
    'an approval service that says that the agent asked for more than it did',
    { received: ({ authority }) => ({ authority: { ...authority, budget: { calls: 999 } } }) },
    'request',
    'access_request_conflict',
  ],
  [
    'an approval service that says that the agent asked for one action',
    { received: () => ({ mode: 'per_action', action_digest: 'A'.repeat(43) }) },
    'request',
    'access_request_conflict',
  ],
  ['an issuer that grants more', { grant: (grant) => ({ ...grant, as_of: 9 }) }, 'grant', 'statement_unknown'],
  [
    'an issuer that grants what was not approved',
    { grant: ({ statement, assertions }) => grantOf({ ...statement, nonce: 'A'.repeat(22) }, assertions) },
    'grant',
    'statement_unknown',
  ],
  ['a decision point that makes up an outcome', { outcomeKey: generateKey('outcome') }, 'outcome', 'key_unknown'],
  [
    'a decision point that passes an outcome off as that of another action',
    { outcomeAbout: { action_digest: sha256('another action') } },
    'outcome',
    'action_digest_mismatch',
  ],
  [
    'a decision point that allows what was not granted',
    { allowed: ({ action }) => ({ action: { ...action, resource: { type: 'tool', id: 'invoices.burn' } } }) },
    'decision',
    'action_not_granted',
  ],
  [
    'a decision point that allows beyond a bound, and says so in more than one way',
    {
      bound: { '/amount': { max: '500' } },
      allowed: ({ action }) => ({
        action: { ...action, arguments: { '/amount': '9', '/amount/0': '1', '/__proto__/amount': '9' } },
      }),
    },
    'decision',
    'argument_out_of_bounds',
  ],
  [
    'a decision point that names the grant of another credential',
    { allowed: ({ actor }) => ({ actor: { ...actor, grant_id: `grt_${'A'.repeat(43)}` } }) },
    'decision',
    'grant_unknown',
  ],
  ['people who signed the answer to another ask', { answerTo: 'A'.repeat(43) }, 'approval', 'access_request_unknown'],
  ['a credential without an intent (V4)', { withoutIntent: true }, 'decision', 'credential_unrecorded'],
])('says which step does not hold: %s (V3)', async (_, lies, kind, problem) => {
  await told(lies, async (_story, { decisions }, evidence) => {
    const { steps, verified } = await trace(evidence, decisions[0] ?? '')
    expect(verified).toBe(false)
    expect(steps.find((step) => step.kind === kind)).toMatchObject({ verified: false, problem })
  })
})
