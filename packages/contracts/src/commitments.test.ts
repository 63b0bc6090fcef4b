import { expect, it } from 'vitest'
import { attachmentTopicOf, commitmentsIn } from './commitments.ts'
import { exampleEvent, examplesOf } from './examples/index.ts'
import { topics } from './topics.ts'

const hash = 'A'.repeat(43)
const held = { salted_sha256: hash }

it('finds a value that is held as a salted hash only where events hold one, and says who hands it over', () => {
  for (const [data, at, topic] of [
    [{ purpose: held }, '/purpose', 'attachments.approval.v1'],
    [{ reason: held }, '/reason', 'attachments.approval.v1'],
    [{ action: { call: held } }, '/action/call', 'attachments.policy-decision.v1'],
  ] as const) {
    const found = commitmentsIn(data)
    expect(found).toEqual([{ at, salted_sha256: hash }])
    expect(found.map(attachmentTopicOf)).toEqual([topic])
  }
})

it('takes no word of an agent, or of anybody who writes it elsewhere, for a commitment (V3)', () => {
  for (const data of [
    // The arguments of a step-up are the agent's own; obligations come from a policy.
    { kind: 'step_up', action: { name: 'tools/call', properties: { purpose: held, call: held } } },
    { obligations: [held, { reason: held }] },
    { authority: { purpose: held } },
    { purpose: [held], reason: { ...held, more: 1 }, action: { call: { salted_sha256: 'short' } } },
    { action: null, purpose: hash },
    held,
    null,
    'text',
  ])
    expect(commitmentsIn(data)).toEqual([])
})

it('finds every salted hash that events of ours hold alone', () => {
  const missed = topics.flatMap(({ name, events }) =>
    Object.keys(events).flatMap((type) =>
      Object.values(examplesOf(topics.find((topic) => topic.name === name) as never, type)).flatMap((example) => {
        const { data } = exampleEvent(name, type, example)
        const all = JSON.stringify(data).match(/\{"salted_sha256":"[\w-]{43}"\}/g) ?? []
        return all.length === commitmentsIn(data).length ? [] : [`${name} ${type}`]
      }),
    ),
  )
  expect(missed).toEqual([])
})
