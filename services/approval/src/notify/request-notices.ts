import { changeEffect } from '@bailiwick/approval-statement'
import { describe } from '@bailiwick/authority'
import { agentIdOf, type DecodedEvent } from '@bailiwick/contracts'
import type { RequestRecord } from '@bailiwick/projection'
import { authorityOf } from '../answers/who-may-answer.ts'
import type { Approval } from '../context.ts'
import { policyTextOf } from '../registry/policy-texts.ts'
import { diffOf } from '../registry/propose-change.ts'
import type { Ask } from './addressees.ts'
import { type Notice, plainLine, plainLines } from './notice.ts'

type Event = DecodedEvent<'approvals.v1'>

/** Says that an agent or a person asks, in the words of the console. */
export function waitingNotice(approval: Approval, event: Event, ask: Ask, to: readonly string[]): Notice {
  const { subject, lines } = wordsOf(approval, ask)
  return about(approval, event, ask, {
    kind: 'request_waiting',
    to,
    subject,
    lines: [
      ...lines,
      ...effectsOf(approval, ask),
      `Without an answer it expires at ${ask.expires_at}, and nothing is approved`,
    ],
  })
}

/** How the request ended; undefined for an event that ends none. */
export function endNotice(
  approval: Approval,
  event: Event,
  record: RequestRecord & { received: Ask },
  to: readonly string[],
): Notice | undefined {
  const { subject } = wordsOf(approval, record.received)
  const words = endWords(approval, event)
  if (words === undefined) return undefined
  const kind = event.type === 'request.expired' ? 'request_expired' : 'request_answered'
  return about(approval, event, record.received, { kind, to, subject: `${words}: ${subject}`, lines: [words] })
}

function endWords({ projection }: Approval, event: Event): string | undefined {
  switch (event.type) {
    case 'request.approved': {
      const { registry } = projection.ledger
      const people = event.data.assertions.map(
        ({ credential_id: id }) => registry.passkey(id)?.approver.id ?? 'unknown',
      )
      return `Approved by ${[...new Set(people)].sort().join(' and ')}`
    }
    case 'request.denied':
      return `Denied by ${event.data.by}`
    case 'request.cancelled':
      return 'Cancelled by the agent'
    case 'request.expired':
      return 'Expired without an answer: nothing was approved'
    default:
      return undefined
  }
}

/** The effect of a pending change, one line for each part. */
function effectsOf(approval: Approval, ask: Ask): string[] {
  if (ask.kind !== 'registry') return []
  return ask.entities.map((entity) => {
    const diff = diffOf(approval, entity)
    return changeEffect({ ...diff, ...policyTextOf(approval.policyText, diff) })
  })
}

function wordsOf(approval: Approval, ask: Ask): { subject: string; lines: string[] } {
  if (ask.kind === 'registry') {
    const lines = ask.entities.map(({ type, id, after, before }) => {
      const verb = after === undefined ? 'Retire' : before === undefined ? 'Register' : 'Change'
      return `${verb} ${type} ${id}`
    })
    return { subject: `${ask.proposer} proposes a change of the registry`, lines }
  }
  const agent = approval.projection.ledger.registry.get('agent', agentIdOf(ask.agent))
  const name = `${agent?.name ?? 'An agent'} (${ask.agent})`
  if (ask.kind === 'step_up') {
    const { name: action, resource } = ask.action
    const lines = [`One action of a task that was approved: ${action} on ${resource.type} ${resource.id}`]
    return { subject: `${name} needs a yes once more`, lines: [...lines, `Why: ${ask.denial.reason}`] }
  }
  const times = `From ${ask.not_before} until ${ask.not_after}`
  const exact = ask.mode === 'per_action' ? ['One exact action, once'] : []
  return {
    subject: `${name} asks`,
    lines: [...describe(authorityOf(ask.authority), { once: ask.mode === 'per_action' }), ...exact, times],
  }
}

function about(
  { publicUrl }: Approval,
  event: Event,
  ask: Ask,
  said: Pick<Notice, 'kind' | 'to' | 'subject' | 'lines'>,
): Notice {
  return {
    ...said,
    subject: plainLine(said.subject),
    lines: plainLines(said.lines),
    id: noticeId(event.id),
    at: Date.parse(event.time),
    url: `${publicUrl}/console/requests/${ask.request_id}`,
    requestId: ask.request_id,
    ...(ask.kind === 'registry' ? {} : { agent: ask.agent }),
  }
}

/** The id of the delivery about one event. */
export const noticeId = (eventId: string) => `ntf_${eventId.replace(/^evt_/, '')}`
