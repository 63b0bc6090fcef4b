import type { Assertion, DecodedEvent, EventKind } from '@bailiwick/contracts'
import type { RegistryState } from '@bailiwick/projection'
import { effectOf, placeOf, type TraceLeaf } from '@bailiwick/verify'
import type { CallRecord } from './index-format.ts'
import type { LeafIndex } from './leaf-index.ts'

/** One line of a list of events. Members that the event does not state come from the events that it followed from, or are absent. */
export interface EventView {
  leaf_index: number
  event_id: string
  kind: EventKind
  type: string
  time: string
  subject: string
  agent?: string
  task?: string
  /** The humans who acted, if any. */
  approvers?: readonly string[]
  resource?: string
  /** For a denial, a refusal or a finding: its stable code. */
  reason?: string
  /** For an outcome: the status that the enforcement point reported. */
  status?: string
  /** For a decision, an outcome, or what else concerns one. */
  decision_id?: string
  grant_id?: string
  /** The name of the action. */
  action?: string
  /** The arguments that the authority or a policy names, by JSON pointer. */
  arguments?: Readonly<Record<string, unknown>>
  /** The delegation under which it acted, if any. */
  delegation_id?: string
  /** For an ALLOW: what the call took, less what its outcome gave back. */
  cost?: Readonly<Record<string, string>>
  /** For an ALLOW: how it ended, if it did. */
  outcome?: { status: string; at: string }
  /** Another writer's event took its place, so it has no effect. */
  void?: true
}

type Said = Omit<
  EventView,
  'leaf_index' | 'event_id' | 'kind' | 'type' | 'time' | 'subject' | 'cost' | 'outcome' | 'void'
>

/** The leaf that brought each thing into being: the first one that claimed it. */
export function beginningsAmong(leaves: readonly TraceLeaf[]): Map<string, TraceLeaf> {
  const beginnings = new Map<string, TraceLeaf>()
  for (const leaf of [...leaves].sort((a, b) => a.index - b.index)) {
    const { is } = effectOf(leaf)
    if (is !== undefined && !beginnings.has(is)) beginnings.set(is, leaf)
  }
  return beginnings
}

/** `beginnings`: the leaves among which its causes are looked up. */
export function eventView(
  { index: leaf_index, event, void: isVoid }: TraceLeaf,
  beginnings: ReadonlyMap<string, TraceLeaf>,
  registry: Pick<RegistryState, 'passkey'>,
  index: Pick<LeafIndex, 'callOf'>,
): EventView {
  const { kind } = placeOf(event)
  const { id: event_id, type, time, subject } = event
  return {
    leaf_index,
    event_id,
    kind,
    type,
    time,
    subject,
    ...saidOf(event, beginnings, registry),
    // A void ALLOW was given to no caller: the call is that of the decision that counts.
    ...(isVoid ? { void: true } : type === 'decision.allowed' ? endOf(index.callOf(subject)) : {}),
  }
}

function endOf(call: CallRecord | undefined): Pick<EventView, 'cost' | 'outcome'> {
  if (call === undefined) return {}
  const { cost, status, endedAt } = call
  const outcome = status === undefined ? {} : { outcome: { status, at: new Date(endedAt ?? 0).toISOString() } }
  return { ...(Object.keys(cost).length > 0 ? { cost } : {}), ...outcome }
}

function saidOf(
  event: DecodedEvent,
  beginnings: ReadonlyMap<string, TraceLeaf>,
  registry: Pick<RegistryState, 'passkey'>,
): Said {
  let said = ownWords(event, registry)
  for (const cause of placeOf(event).from) {
    if (said.agent !== undefined && said.task !== undefined) break
    const leaf = beginnings.get(cause)
    if (leaf === undefined || leaf.event === event) continue
    const { agent, task, resource } = ownWords(leaf.event, registry)
    said = { ...defined({ agent, task, resource }), ...said }
  }
  return said
}

function ownWords({ type, data }: DecodedEvent, registry: Pick<RegistryState, 'passkey'>): Said {
  const members = data as Members
  const { actor, grant, action } = members
  const statement = members.statement ?? grant?.statement
  const assertions = members.assertions ?? (members.assertion === undefined ? [] : [members.assertion])
  const hands = assertions.map(({ credential_id }) => registry.passkey(credential_id)?.approver.id ?? credential_id)
  if (typeof members.by === 'string' && !members.by.startsWith('spiffe://')) hands.push(members.by)
  return defined({
    agent: actor?.sub_agent ?? actor?.agent ?? members.agent ?? grant?.agent ?? statement?.agent,
    task: actor?.task ?? members.authority?.task ?? grant?.authority?.task ?? statement?.authority?.task,
    approvers: hands.length > 0 && !type.startsWith('grant.') ? hands : undefined,
    resource: action?.resource.id,
    action: action?.name,
    arguments: action?.arguments,
    decision_id: members.decision_id,
    grant_id: actor?.grant_id ?? members.grant_id,
    delegation_id: actor?.delegation_id,
    reason: members.reason instanceof Object ? undefined : (members.reason ?? members.code),
    status: members.status,
  })
}

/** The members that an event may have. Its schema was checked when it was decoded. */
interface Members {
  agent?: string
  authority?: { task?: string }
  actor?: { agent?: string; sub_agent?: string; task?: string; grant_id?: string; delegation_id?: string }
  action?: { name: string; resource: { id: string }; arguments?: Record<string, unknown> }
  decision_id?: string
  grant_id?: string
  grant?: Members
  statement?: Members
  assertions?: Assertion[]
  assertion?: Assertion
  by?: string | object
  reason?: string | object
  code?: string
  status?: string
}

function defined(said: { [K in keyof Said]: Said[K] | undefined }): Said {
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined)) as Said
}
