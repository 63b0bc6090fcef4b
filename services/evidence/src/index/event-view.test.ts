import type { DecodedEvent, TopicName } from '@bailiwick/contracts'
import { exampleEvent } from '@bailiwick/contracts/examples'
import type { TraceLeaf } from '@bailiwick/verify'
import { expect, it } from 'vitest'
import { beginningsAmong, eventView } from './event-view.ts'

const leafOf = (index: number, topic: TopicName, type: string, change: (data: never) => object): TraceLeaf => {
  const event = exampleEvent(topic, type)
  const data = { ...(event.data as object), ...change(event.data as never) }
  return { index, topic, event: { ...event, data } as unknown as DecodedEvent, bytes: new Uint8Array() }
}

it('takes what an event does not say from all that it followed from, the nearest first', () => {
  const [grant_id, credential_id, decision_id] = ['grt_1', 'crd_1', 'dec_1']
  const [agent, instance] = ['spiffe://a/agent/b/one', 'spiffe://a/agent/b/two']
  const granted = leafOf(1, 'grants.v1', 'grant.created', ({ grant }: { grant: { authority: object } }) => ({
    grant: { ...grant, id: grant_id, agent, authority: { ...grant.authority, task: 'month-end' } },
  }))
  // An intent names its agent and its grant, but no task.
  const intended = leafOf(2, 'grants.v1', 'credential.intended', () => ({ credential_id, grant_id, agent: instance }))
  const denied = leafOf(3, 'decisions.v1', 'decision.denied', () => ({
    decision_id,
    actor: { credential_id, grant_id },
  }))
  const view = (...leaves: TraceLeaf[]) =>
    eventView(denied, beginningsAmong([...leaves, denied]), { passkey: () => undefined }, { callOf: () => undefined })
  expect(view(granted, intended)).toMatchObject({ agent: instance, task: 'month-end' })
  expect(view(granted)).toMatchObject({ agent, task: 'month-end' })
  expect(view(intended)).toMatchObject({ agent: instance })
  expect(view()).not.toHaveProperty('task')
})
