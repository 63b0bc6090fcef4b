import { verifyApproval, verifyGrantContent } from '@bailiwick/approval-statement'
import { describe, parseAuthority } from '@bailiwick/authority'
import { agentIdOf, type DecodedEvent, type EventData, type Grant, type TopicName } from '@bailiwick/contracts'
import { KeyRing, type Trust } from '@bailiwick/credentials'
import { isOfEmergency, judgeByAnchor, Ledger, type RequestRecord } from '@bailiwick/projection'
import { parseVkey, type VerifierKey } from '@bailiwick/tlog'
import { readLog } from '../log/read-log.ts'
import { signedLeaf } from '../log/signed-leaf.ts'
import type { LogSource } from '../log/source.ts'
import type { LogFault } from '../log/verify-log.ts'

/** One action that was tried in an emergency. */
export interface EmergencyAction {
  at: string
  name: string
  resource: string
  /** `allowed`, or the reason of the denial. */
  decision: string
  /** What the enforcement point says happened. Absent: nothing yet, or it was denied. */
  outcome?: string
}

export interface EmergencyReport {
  request_id: string
  grant_id?: string
  agent: string
  /** The person who acted. */
  by: string
  opened_at: string
  /** Its end by the statement. */
  until?: string
  /** `waiting`, `approved`, `denied`, `expired`, `cancelled` or `withdrawn`, as its request says. */
  state: string
  ended?: { at: string; how: string }
  /** The people whose passkeys signed it, verified again from the trust anchor; empty with `problem`. */
  signed_by: readonly string[]
  problem?: string
  authority?: Grant['authority']
  /** The authority in words. */
  allows: readonly string[]
  credentials: number
  actions: readonly EmergencyAction[]
  reviewed_by?: string
}

const basis = ['registry.v1', 'approvals.v1', 'grants.v1', 'revocations.v1'] as const

/**
 * What was done in emergencies, from the log alone: every entry is verified, every event's signature leads to the trust anchor, and only
 * events that count are reported. `id`: one of them, by its request or its grant; absent: all, the oldest first. Throws as `verifyLog` does.
 */
export async function emergencyReports({
  source,
  trust,
  id,
}: {
  source: LogSource
  trust: Trust
  id?: string | undefined
}): Promise<{ ok: true; reports: EmergencyReport[] } | LogFault> {
  const keyRing = new KeyRing(trust)
  const ledger = new Ledger({ judge: judgeByAnchor(keyRing), base: false })
  const requests = new Map<string, RequestRecord>()
  const ends = new Map<string, { at: string; how: string }>()
  const pass = (topics: readonly TopicName[], take: (event: DecodedEvent, topic: TopicName) => void) =>
    readLog({ source, vkey: parseVkey(trust.log.vkey) as VerifierKey }, async ({ bytes }) => {
      const read = signedLeaf(keyRing, bytes, topics)
      if (typeof read === 'object' && (await ledger.apply(read.topic, read.event)) === 'counts')
        take(read.event, read.topic)
    })
  const first = await pass(basis, (event, topic) => {
    if (event.type === 'service-key.retired') keyRing.retire(event.data.entity.id, Date.parse(event.time))
    const record = topic === 'approvals.v1' ? ledger.requests.requests.get(event.subject) : undefined
    if (record && isOfEmergency(record)) requests.set(record.id, record)
    const end = endOf(event)
    if (end !== undefined && !ends.has(end.grantId)) ends.set(end.grantId, { at: event.time, how: end.how })
  })
  if (!first.ok) return first
  const wanted = [...requests.values()].filter(({ id: request }) => {
    return id === undefined || request === id || ledger.grants.byRequest(request)?.id === id
  })
  const actions = new ActionsOf(wanted.flatMap(({ id: request }) => ledger.grants.byRequest(request)?.id ?? []))
  const second = await pass(['decisions.v1'], (event) => actions.take(event as DecodedEvent<'decisions.v1'>))
  if (!second.ok) return second
  const reports = wanted.map(async (record): Promise<EmergencyReport> => {
    const tree = ledger.grants.byRequest(record.id)
    const received = record.received as Extract<EventData<'approvals.v1', 'request.received'>, { kind: 'access' }>
    const registry = ledger.registry.view(tree?.createdAt ?? record.changedAt)
    const grant = tree?.grant
    const ended = grant === undefined ? undefined : ends.get(grant.id)
    // Approval can receive a request again under another name. People signed the statement.
    const agent = grant?.statement.agent ?? received.agent
    return {
      request_id: record.id,
      ...(grant === undefined ? {} : { grant_id: grant.id, until: grant.not_after, authority: grant.authority }),
      agent,
      by: registry.agents.get(agentIdOf(agent))?.owner ?? agent,
      opened_at: new Date(record.askedAt ?? 0).toISOString(),
      state: record.state === 'pending' ? 'waiting' : record.state,
      ...(ended === undefined ? {} : { ended }),
      ...(grant === undefined ? { signed_by: [] } : await signersOf(grant, tree?.createdAt ?? 0, registry, trust)),
      allows: grant === undefined ? [] : wordsOf(grant),
      credentials: tree?.credentials.size ?? 0,
      actions: grant === undefined ? [] : actions.of(grant.id),
      ...(record.reviewedBy === undefined ? {} : { reviewed_by: record.reviewedBy }),
    }
  })
  return { ok: true, reports: await Promise.all(reports) }
}

function wordsOf({ authority }: Grant): string[] {
  const parsed = parseAuthority(authority)
  return parsed.ok ? describe(parsed.authority) : []
}

async function signersOf(
  grant: Grant,
  at: number,
  registry: Parameters<typeof verifyApproval>[0]['registry'],
  trust: Trust,
): Promise<Pick<EmergencyReport, 'signed_by' | 'problem'>> {
  const content = verifyGrantContent(grant)
  const { statement, assertions } = grant
  const verified = content.ok ? await verifyApproval({ statement, assertions, registry, trust, at }) : content
  return verified.ok ? { signed_by: verified.approverIds } : { signed_by: [], problem: verified.code }
}

/** What ended a grant, if the event did. A withdrawal ends nothing until the issuer revokes the grant, which names the person too. */
function endOf({ type, data }: DecodedEvent): { grantId: string; how: string } | undefined {
  if (type === 'grant.completed') return { grantId: data.grant.id, how: 'completed' }
  if (type === 'grant.expired') return { grantId: data.grant.id, how: 'expired' }
  if (type === 'revocation.declared' && data.kind === 'grant')
    return { grantId: data.target, how: `revoked by ${data.by.kind} ${data.by.id}` }
  return undefined
}

/** The decisions under some grants, with their outcomes. */
class ActionsOf {
  readonly #byGrant: ReadonlyMap<string, Map<string, EmergencyAction>>

  constructor(grants: readonly string[]) {
    this.#byGrant = new Map(grants.map((grant) => [grant, new Map()]))
  }

  of(grant: string): EmergencyAction[] {
    return [...(this.#byGrant.get(grant)?.values() ?? [])]
  }

  take({ type, time, data }: DecodedEvent<'decisions.v1'>): void {
    switch (type) {
      case 'decision.allowed':
      case 'decision.denied': {
        const { actor, action, decision_id } = data
        const decision = type === 'decision.allowed' ? 'allowed' : data.reason
        const { name = 'unknown', resource } = action ?? {}
        const on = resource === undefined ? 'unknown' : `${resource.type} ${resource.id}`
        this.#byGrant.get(actor?.grant_id ?? '')?.set(decision_id, { at: time, name, resource: on, decision })
        break
      }
      case 'outcome.reported':
        this.#settle(data, data.status)
        break
      case 'outcome.missing':
        this.#settle(data, 'missing')
        break
      case 'decision.abandoned':
        this.#settle(data, 'taken back')
        break
    }
  }

  #settle({ grant_id, decision_id }: { grant_id: string; decision_id: string }, outcome: string): void {
    const action = this.#byGrant.get(grant_id)?.get(decision_id)
    if (action !== undefined) action.outcome = outcome
  }
}
