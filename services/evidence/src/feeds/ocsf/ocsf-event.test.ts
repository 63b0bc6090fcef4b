import {
  decodeEvent,
  encodeEnvelope,
  leafAppended,
  maxEventBytes,
  type OcsfEvent,
  topicNamed,
} from '@bailiwick/contracts'
import { eventText, exampleEvent } from '@bailiwick/contracts/examples'
import { describe, expect, it } from 'vitest'
import { compiled, judgedByOcsf } from './compiled.fixture.ts'
import { agent, checkpoint, decision, grant, leaves, log, tellExample, whole } from './ocsf.fixture.ts'
import type { Story } from './story.ts'

describe.each<[string, Story]>([
  ['with nothing known beside the leaf', {}],
  ['with all that leads up to it', whole],
])('%s', (_, story) => {
  it.each(leaves)('tells $type ($desc, $topic) in our own strict schema of its class', ({ topic, event }) => {
    const told = tellExample(topic, event, story)
    const read = leafAppended.safeParse(JSON.parse(JSON.stringify(told)))
    expect(read.error?.issues ?? []).toEqual([])
    expect(read.data).toEqual(told)
    expect(told.metadata.sequence).toBe(4711)
    expect(told.attestation_list[0]).toMatchObject({ uid: '4711', chain_uid: log.origin })
    expect(told.attestation_list[0]?.fingerprint.value).toBe(told.bailiwick.log.leaf_hash)
    expect(told.metadata.original_event_uid).toBe(event.id)
  })

  it.skipIf(process.env.CI !== 'true' && compiled === undefined).each(leaves)(
    'tells $type ($desc, $topic) as OCSF 1.9 itself demands',
    ({ topic, event }) => {
      if (compiled === undefined) return expect.fail('OCSF is not beside the project')
      expect(judgedByOcsf({ ...tellExample(topic, event, story) }, compiled)).toEqual([])
    },
  )
})

describe('of what lost its place to another writer', () => {
  const lost = leaves.filter(({ topic }) =>
    ['approvals.v1', 'grants.v1', 'decisions.v1', 'revocations.v1'].includes(topic),
  )

  it.each(lost)('tells $type ($desc) as what had no effect (V2)', ({ topic, event }) => {
    const told = tellExample(topic, event, whole, true)
    expect(leafAppended.safeParse(JSON.parse(JSON.stringify(told))).error?.issues ?? []).toEqual([])
    expect(told).toMatchObject({ status_id: 99, status: 'Void', severity_id: 1 })
    expect(told.message).toMatch(/^Without effect/)
    const { decision, outcome } = told.bailiwick
    expect([decision ?? 'VOID', outcome]).toEqual(['VOID', undefined])
    expect(JSON.stringify(told)).not.toMatch(/"action":"(Allowed|Denied)"|"decision":"(ALLOW|DENY)"/)
    if (compiled !== undefined) expect(judgedByOcsf({ ...told }, compiled)).toEqual([])
  })
})

/** The paths of all texts in an event's data. */
function texts(value: unknown, at: readonly string[] = []): (readonly string[])[] {
  if (typeof value === 'string') return [at]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, inner]) => texts(inner, [...at, name]))
}

it.each(['', '0001-01-01T00:00:00.000Z'])(
  'is an event of OCSF wherever a leaf that is one says %j (V15)',
  { timeout: 60_000 },
  (text) => {
    let valid = 0
    for (const { topic, event } of leaves)
      for (const path of texts(event.data)) {
        const changed = structuredClone(event)
        const holder = path.slice(0, -1).reduce<unknown>((at, name) => Object(at)[name], changed.data)
        Object.assign(Object(holder), { [path.at(-1) ?? '']: text })
        const decoded = decodeEvent(topicNamed(topic) ?? expect.fail(topic), Buffer.from(JSON.stringify(changed)))
        if (!decoded.ok) continue
        valid++
        const told = JSON.parse(JSON.stringify(tellExample(topic, decoded.event, whole)))
        expect([event.type, path, leafAppended.safeParse(told).error?.issues ?? []]).toEqual([event.type, path, []])
      }
    expect(valid).toBeGreaterThan(20)
  },
)

it('fails validation against the OCSF schema when it is wrong', () => {
  if (compiled === undefined) return
  const told = tellExample('decisions.v1', exampleEvent('decisions.v1', 'decision.allowed'), whole)
  const { actor: _, ...unnamed } = told as Extract<OcsfEvent, { class_uid: 6003 }>
  for (const bad of [
    unnamed,
    { ...told, severity_id: 7 },
    { ...told, severity: 'Fatal' },
    { ...told, time: 'now' },
    { ...told, type_uid: 600301 },
    { ...told, anything: 1 },
    { ...told, attestation_list: [{ uid: '1' }] },
    { ...told, metadata: { ...told.metadata, profiles: ['record_integrity'] } },
  ])
    expect(judgedByOcsf(bad, compiled)).not.toEqual([])
})

it('is no event whose type is not of its class and its activity', () => {
  const told = tellExample('decisions.v1', exampleEvent('decisions.v1', 'decision.allowed'), whole)
  expect(leafAppended.safeParse({ ...told, type_uid: 600302 }).success).toBe(false)
  expect(leafAppended.safeParse({ ...told, activity_id: 2, type_uid: 600302 }).success).toBe(true)
})

it('says who let it happen, on the decision itself', () => {
  const told = tellExample('decisions.v1', exampleEvent('decisions.v1', 'decision.allowed'), whole)
  expect(told).toMatchObject({
    class_uid: 6003,
    action: 'Allowed',
    ai_agent: { uid: 'spiffe://example.org/agent/reconciler', instance_uid: agent, name: 'Reconciler' },
    resources: [{ uid: 'adjustments.post', type: 'tool' }],
    bailiwick: {
      approvers: ['fiona', 'frank'],
      step_up: { request_id: 'req_00000000000000000001', approvers: ['anna'] },
      owner: 'olga',
      task: 'reconcile-q3-invoices',
      decision: 'ALLOW',
      lineage: whole.lineage,
      policies: ['allow-approved-tools'],
      log: { index: 4711, checkpoint: { size: 4712, note: checkpoint.note } },
    },
  })
})

describe('of a call of a model', () => {
  const model = {
    ...decision,
    action: { ...decision.action, name: 'model/invoke', resource: { type: 'model', id: 'acme/org/small' } },
    reserved: { calls: 1, cost: { USD: '0.0421' }, egress_bytes: 0 },
  } as NonNullable<Story['decision']>
  const signed = (outcome: object) =>
    `e30.${Buffer.from(JSON.stringify(outcome)).toString('base64url')}.${'A'.repeat(86)}`
  const reported = (outcome: object, back: string) =>
    exampleEvent('decisions.v1', 'outcome.reported', {
      ...(exampleEvent('decisions.v1', 'outcome.reported').data as object),
      ...{ outcome: signed(outcome), released: { calls: 0, cost: { USD: back }, egress_bytes: 0 } },
    })

  it('tells the model, the money, the tokens, the agent, the task and its approvers', () => {
    const told = tellExample('decisions.v1', exampleEvent('decisions.v1', 'decision.allowed', model), whole)
    expect(told).toMatchObject({
      ai_model: { ai_provider: 'acme', name: 'org/small' },
      bailiwick: { reserved: { USD: '0.0421' }, task: 'reconcile-q3-invoices', approvers: ['fiona', 'frank'] },
    })
    const over = tellExample('decisions.v1', reported({ tokens: { input: 10, output: 200 } }, '0.0221'), {
      ...whole,
      decision: model,
    })
    expect(over).toMatchObject({
      ai_model: { ai_provider: 'acme', name: 'org/small' },
      ai_agent: { instance_uid: agent },
      message_context: {
        service: { name: 'acme' },
        prompt_tokens: 10,
        completion_tokens: 200,
        total_tokens: 210,
      },
      bailiwick: { spent: { USD: '0.02' }, task: 'reconcile-q3-invoices', approvers: ['fiona', 'frank'] },
    })
    if (compiled !== undefined) expect(judgedByOcsf({ ...over }, compiled)).toEqual([])
  })

  it.each<[string, object, string]>([
    ['says nothing of tokens', {}, '0'],
    ['states tokens that are none', { tokens: { input: -1, output: 0.5 } }, '0'],
  ])('tells no tokens if its outcome %s, and that all was spent (V9)', (_, outcome, back) => {
    const over = tellExample('decisions.v1', reported(outcome, back), { ...whole, decision: model })
    expect(over).not.toHaveProperty('message_context')
    expect(over.bailiwick.spent).toEqual({ USD: '0.0421' })
  })

  it('tells no money of what had no effect (V2)', () => {
    const story = { ...whole, decision: model }
    const event = reported({ tokens: { input: 10, output: 200 } }, '0.0221')
    const told = tellExample('decisions.v1', event, story, true)
    expect(told).not.toHaveProperty('message_context')
    expect(told.bailiwick.spent).toBeUndefined()
  })
})

it('tells the code of a revocation, and of what an operator wrote not even the hash (V17)', () => {
  const event = exampleEvent('revocations.v1', 'revocation.declared')
  const reasonIn = (reason: unknown) => {
    const data = { ...(event.data as object), reason }
    return tellExample('revocations.v1', { ...event, data }, whole).bailiwick.details
  }
  expect(reasonIn('agent_retired')).toMatchObject({ reason: 'agent_retired' })
  expect(reasonIn({ salted_sha256: 'A'.repeat(43) })).not.toHaveProperty('reason')
})

it('tells each event of an emergency, and each change of who may open one, with severity High', () => {
  const inEmergency = { ...whole, grant: { ...grant, emergency: true as const } }
  for (const type of ['decision.allowed', 'decision.denied', 'outcome.reported'] as const) {
    const event = exampleEvent('decisions.v1', type)
    const told = tellExample('decisions.v1', event, inEmergency)
    expect(told).toMatchObject({ severity: 'High', bailiwick: { emergency: true } })
    expect(told.message).toMatch(/^EMERGENCY: /)
    expect(tellExample('decisions.v1', event, whole).bailiwick).not.toHaveProperty('emergency')
    expect(tellExample('decisions.v1', event, inEmergency, true).severity).toBe('Informational') // it lost its place
  }
  const asked = exampleEvent('approvals.v1', 'request.received')
  const attestation = { kind: 'emergency', attested_at: '2026-07-01T09:00:00.000Z' }
  const opened = { ...asked, data: { ...(asked.data as object), attestation } }
  expect(tellExample('approvals.v1', opened)).toMatchObject({ severity: 'High', bailiwick: { emergency: true } })
  const rule = exampleEvent('registry.v1', 'rule.changed')
  const data = rule.data as { value: object }
  const opening = { ...rule, data: { ...data, value: { ...data.value, emergency: { permissions: [], budget: {} } } } }
  expect(tellExample('registry.v1', opening).severity).toBe('High')
  expect(tellExample('registry.v1', rule).severity).not.toBe('High')
})

it('names no approver whose signature did not hold (V3)', () => {
  const story = { ...whole, grant: { ...grant, approvers: [], problem: 'assertion_invalid' } }
  const told = tellExample('decisions.v1', exampleEvent('decisions.v1', 'decision.allowed'), story)
  expect(told.bailiwick).toMatchObject({ approvers: [], approval_problem: 'assertion_invalid' })
})

describe('of texts that an attacker chose', () => {
  const hostile = 'a\r\n{"forged":true}\u0000\u001b[2J\u2028\u202e\u{e0001}'
  const action = (resource: string, args: Record<string, string>) => ({
    ...decision,
    action: { ...decision.action, resource: { type: 'tool', id: resource }, arguments: args },
    policies: Array.from({ length: 64 }, (_, n) => `${n}`.padEnd(256, '\u0001')),
  })

  it('keeps the exact text in its member, and none of what moves a cursor in the message', () => {
    const event = exampleEvent('decisions.v1', 'decision.allowed', action(hostile, {}))
    const told = tellExample('decisions.v1', event, whole)
    expect(told).toMatchObject({ resources: [{ uid: hostile }] })
    expect(told.message).not.toMatch(/[\p{Cc}\p{Cf}\u2028\u2029]/u)
    expect(JSON.stringify(told)).not.toMatch(/\p{Cc}/u)
  })

  it.each([
    ['control characters', '\u0001'],
    ['an emoji that a cut would break', '\u{1f600}'],
    ['letters', 'x'],
  ])('fits %s of every length into one event of the bus, marks the cut, and stays well-formed', (_, letter) => {
    const text = (length: number) => letter.repeat(length / letter.length)
    const args = Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`/${n}`.padEnd(256, 'k'), text(2048)]))
    const event = exampleEvent('decisions.v1', 'decision.allowed', action(text(2048), args))
    const story = { ...whole, lineage: Array.from({ length: 9 }, () => ({ agent: text(2048) })) }
    const told = tellExample('decisions.v1', event, story)
    expect(told.metadata.is_truncated).toBe(true)
    expect(leafAppended.safeParse(told).error?.issues ?? []).toEqual([])
    expect(JSON.stringify(told).isWellFormed()).toBe(true)
    const enveloped = {
      ...exampleEvent('evidence.v1', 'leaf.appended', told),
      id: told.metadata.uid,
      subject: '4711',
      partitionkey: '4711',
    }
    const { jws: signature, ...unsigned } = enveloped
    expect(encodeEnvelope(unsigned).length + 400).toBeLessThan(maxEventBytes)
    expect(signature).toBeDefined()
    const topic = topicNamed('evidence.v1') ?? expect.fail('no topic')
    expect(decodeEvent(topic, Buffer.from(eventText(enveloped)))).toMatchObject({ ok: true })
    if (compiled !== undefined) expect(judgedByOcsf({ ...told }, compiled)).toEqual([])
  })
})
