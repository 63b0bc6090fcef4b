import { type DecodedEvent, type EventKind, eventTable, thingsAt } from '@bailiwick/contracts'
import type { LeafEvent } from './told.ts'

export type Decision = Extract<DecodedEvent<'decisions.v1'>, { type: 'decision.allowed' | 'decision.denied' }>['data']
export type Received = Extract<DecodedEvent<'approvals.v1'>, { type: 'request.received' }>['data']

/** The known facts about a grant, and who signed it. */
export interface GrantFacts {
  grantId: string
  requestId: string
  agent: string
  task: string
  mode: string
  rule: string
  /** Two people opened an emergency. */
  emergency?: true
  authority: object
  notBefore: string
  notAfter: string
  /** The approvers whose signatures over the grant are valid; empty with `problem`. */
  approvers: readonly string[]
  problem?: string
}

/** A step-up: humans also said yes to this one action. `approvers`: those whose signatures are valid; empty with `problem`. */
export interface YesFacts {
  requestId: string
  approvers: readonly string[]
  problem?: string
}

export interface LineageStep {
  agent: string
  grant_id?: string
  delegation_id?: string
}

/** The history that led to a leaf, as far as the log has it. */
export interface Story {
  grant?: GrantFacts
  decision?: Decision
  yes?: YesFacts
  /** The request that an answer is about. */
  request?: Received
  /** From the grant's agent to the acting agent. */
  lineage?: readonly LineageStep[]
  /** From the registry: the agent's name, and the human who is accountable for it. */
  agentName?: string
  owner?: string
}

/** The names of the things that an event follows from. */
export interface Causes {
  grant?: string | undefined
  decision?: string | undefined
  credential?: string | undefined
  delegation?: string | undefined
  request?: string | undefined
}

/** What a story looks up for an event of each kind; each is a read of the log. */
const lookedUp: Readonly<Record<EventKind, readonly (keyof Causes)[]>> = {
  request: ['grant'],
  approval: ['request'],
  grant: ['grant'],
  delegation: ['grant', 'delegation'],
  credential: ['grant', 'delegation', 'credential'],
  decision: ['grant', 'delegation', 'decision'],
  outcome: ['grant', 'decision'],
  revocation: ['grant', 'delegation', 'credential', 'request'],
  registry: [],
  finding: ['decision'],
}
const prefixOf = { grant: 'grt_', decision: 'dec_', credential: 'crd_', delegation: 'dlg_', request: 'req_' } as const

/** The story of an event that begins a grant or a delegation starts with that. */
const ofItself: readonly EventKind[] = ['grant', 'delegation']

export function causesOf({ type, data }: LeafEvent): Causes {
  const { kind, begins, from = [], about = [], apart } = eventTable[type]
  if (apart) return {}
  const own = begins !== undefined && ofItself.includes(kind) ? [begins] : []
  const things = thingsAt(data, [...own, ...from, ...about])
  const causes: Causes = {}
  for (const name of lookedUp[kind]) {
    const id = things.find((thing) => thing.startsWith(prefixOf[name]))
    if (id !== undefined) causes[name] = id
  }
  return causes
}
