import type { DecodedEvent } from '@bailiwick/contracts'
import type { Metrics } from '@bailiwick/host'
import type { Approval } from './context.ts'
import { allEmergencies } from './emergency/emergencies.ts'

/** Counts events of requests, and shows how many requests are unanswered. */
export function observeRequestsOf(approval: Approval, metrics: Metrics): { countFromTopic: (result: string) => void } {
  const { projection } = approval
  const events = metrics.counter('approval_events_total', 'Events of requests that count, by type', ['type'])
  const fromTopic = metrics.counter('access_requests_total', 'Access requests read from the topic', ['result'])
  const pending = metrics.gauge('requests_pending', 'Requests without an answer')
  const states = ['waiting', 'live', 'over'] as const
  metrics.gauge(
    'emergencies',
    'Emergencies that wait for signatures, are live, or were not reviewed',
    ['state'],
    (gauge) => {
      const all = allEmergencies(approval)
      for (const state of states) gauge.set({ state }, all.filter((each) => each.state === state).length)
    },
  )
  const show = () => {
    let waiting = 0
    for (const { state } of projection.ledger.requests.requests.values()) if (state === 'pending') waiting++
    pending.set(waiting)
  }
  show()
  projection.onFact(({ topic, verdict, event }) => {
    if (topic !== 'approvals.v1' || verdict !== 'counts') return
    events.inc({ type: (event as DecodedEvent<'approvals.v1'>).type })
    show()
  })
  return { countFromTopic: (result) => fromTopic.inc({ result }) }
}
