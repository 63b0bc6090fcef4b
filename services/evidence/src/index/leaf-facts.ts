import { eventRow, parseStrictJson, type Term, termsOf } from '@bailiwick/contracts'
import { sha256 } from '@bailiwick/credentials'
import { type Claim, claimOf } from '@bailiwick/projection'
import { type Touch, touchOf } from '../touched/touch-of.ts'
import type { Numbered } from './chain.ts'
import { type Lineage, lineageOf } from './lineage.ts'
import { type OutcomeLink, outcomeLink } from './outcome-links.ts'

/** The facts about an event that the index needs, read from a leaf's bytes. */
export interface LeafFacts {
  eventId: string
  type: string
  source: string
  /** The event's place among its producer's events. */
  numbered: Numbered | undefined
  /** If the event relays an outcome: its place among the outcomes of its enforcement point. */
  outcome: OutcomeLink | undefined
  /** If the event is a finding of evidence about a missing leaf or a message that is not a leaf: the name of its subject. */
  tells: string | undefined
  /** ms since the epoch, as the event's producer signed it. */
  at: number
  /** All terms that the event itself states, each once. */
  terms: ReadonlySet<Term>
  lineage: Lineage
  /** The thing whose versions the event counts with, if any. */
  claim: Claim | undefined
  /** The agents that got a yes or a no, and how often. */
  answers: readonly Answer[]
  /** What an agent touched, was denied, or how a call ended. */
  touches: readonly Touch[]
}

export interface Answer {
  agent: string
  verdict: 'allowed' | 'denied'
  count: number
}

const longestName = 2100

/** The facts of a leaf. Its bytes were decoded before they became a leaf. */
export function leafFacts(bytes: Uint8Array): LeafFacts {
  const event = parseStrictJson(bytes) as Record<string, unknown>
  const terms = termsOf(event)
  const { id: eventId, type, source, sequence, previous, time } = event
  const at = Date.parse(String(time))
  return {
    eventId: String(eventId),
    type: String(type),
    source: String(source),
    numbered:
      sequence === undefined
        ? undefined
        : {
            ...{ sequence: Number(sequence), hash: sha256(bytes) },
            previous: typeof previous === 'string' ? previous : undefined,
          },
    outcome: outcomeLink(String(type), event.data),
    at: Number.isFinite(at) ? at : 0,
    terms,
    lineage: lineageOf(String(type), event.data, terms),
    tells: eventRow(String(type))?.tells ? String(event.subject) : undefined,
    claim: claimOf(event),
    answers: answersIn(String(type), event.data),
    touches: touchOf(String(type), event.data),
  }
}

/** A call without the decision point's nonce is only a first try: the agent repeats it with the nonce that it was given. */
const firstTry = 'proof_nonce_required'

function answersIn(type: string, data: unknown): Answer[] {
  if (!isObject(data)) return []
  if (type === 'denials.summarised' && Array.isArray(data.denials))
    return data.denials.flatMap(({ subject, reason, count }) =>
      reason === firstTry ? [] : answer(subject, 'denied', Number(count)),
    )
  if ((type !== 'decision.allowed' && type !== 'decision.denied') || data.reason === firstTry) return []
  const { actor } = data
  if (!isObject(actor)) return []
  return answer(actor.sub_agent ?? actor.agent, type === 'decision.allowed' ? 'allowed' : 'denied', 1)
}

/** Counted by agent, not by instance. */
function answer(instance: unknown, verdict: Answer['verdict'], count: number): Answer[] {
  if (typeof instance !== 'string' || !instance.startsWith('spiffe://') || instance.length > longestName) return []
  return [{ agent: instance.slice(0, instance.lastIndexOf('/')), verdict, count }]
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
