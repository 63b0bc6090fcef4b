import {
  ofOlderLogs,
  type StepUpCheck,
  verifyApproval,
  verifyGrantContent,
  verifyStepUp,
} from '@bailiwick/approval-statement'
import { actionHash, approvalOf, type Grant } from '@bailiwick/contracts'
import type { Trust } from '@bailiwick/credentials'
import type { Voice } from '@bailiwick/instance'
import { longestChain } from '@bailiwick/projection'
import { traceLeaf } from '@bailiwick/verify'
import type { LeafIndex } from '../../index/leaf-index.ts'
import {
  type Causes,
  causesOf,
  type Decision,
  type GrantFacts,
  type LineageStep,
  type Received,
  type Story,
  type YesFacts,
} from './story.ts'
import type { LeafEvent, LeafEventOf } from './told.ts'
import { agentOf } from './words.ts'

export interface StoryTellerOptions {
  index: Pick<LeafIndex, 'beginningOf'>
  readLeaf: (index: number) => Promise<Uint8Array | undefined>
  projection: Pick<Voice['projection'], 'ledger' | 'readToEnds'>
  trust: Trust
  /** Resolves once the log has all that is on the bus now. An event's causes were on the bus before the event. */
  caughtUp: () => Promise<void>
}

const remembered = 2000
const registryMs = 5000

type Beginning =
  | 'request.received'
  | 'request.approved'
  | 'grant.created'
  | 'delegation.redeemed'
  | 'credential.intended'
  | 'decision.allowed'
  | 'decision.denied'

/** Finds in the log what led to a leaf, and who signed the grant. */
export class StoryTeller {
  readonly #options: StoryTellerOptions
  readonly #grants = new Map<string, GrantFacts>()
  #fresh = false

  constructor(options: StoryTellerOptions) {
    this.#options = options
  }

  /** Call it before each batch of leaves: events that were missing may be there by now. */
  begin(): void {
    this.#fresh = false
  }

  async of(event: LeafEvent): Promise<Story> {
    const causes = causesOf(event)
    const found: Story = {}
    const decision = causes.decision === undefined ? undefined : await this.#decision(causes.decision)
    if (decision !== undefined) found.decision = decision
    const request = causes.request === undefined ? undefined : await this.#request(causes.request)
    if (request !== undefined) found.request = request
    const { grantId, delegationId } = await this.#under(causes, decision)
    const grant = grantId === undefined ? undefined : await this.#grant(grantId)
    if (grant !== undefined) {
      found.grant = grant
      found.lineage = [{ agent: grant.agent, grant_id: grant.grantId }, ...(await this.#chain(delegationId))]
    }
    const allowed = event.type === 'decision.allowed' ? event.data : decision
    if (allowed !== undefined && 'step_up' in allowed && allowed.step_up !== undefined)
      found.yes = await this.#yes(allowed.step_up, actionHash(allowed.action), grant)
    const agent =
      found.lineage?.at(-1)?.agent ?? agentNamed(event) ?? (request && 'agent' in request ? request.agent : undefined)
    const registered =
      agent === undefined ? undefined : this.#options.projection.ledger.registry.get('agent', agentOf(agent))
    if (registered !== undefined) {
      found.agentName = registered.name
      found.owner = registered.owner
    }
    return found
  }

  /** The grant that the event is under, and the link of its chain. */
  async #under(causes: Causes, decision: Decision | undefined) {
    const { credential } = causes
    const intended = credential === undefined ? undefined : await this.#find(credential, 'credential.intended')
    const delegationId = causes.delegation ?? decision?.actor?.delegation_id ?? intended?.data.delegation_id
    const redeemed = delegationId === undefined ? undefined : await this.#find(delegationId, 'delegation.redeemed')
    const grantId = causes.grant ?? decision?.actor?.grant_id ?? intended?.data.grant_id ?? redeemed?.data.grant_id
    return { grantId, delegationId }
  }

  async #decision(id: string): Promise<Decision | undefined> {
    return (await this.#find(id, 'decision.allowed', 'decision.denied'))?.data
  }

  async #request(id: string): Promise<Received | undefined> {
    return (await this.#find(id, 'request.received'))?.data
  }

  async #chain(last: string | undefined): Promise<LineageStep[]> {
    const steps: LineageStep[] = []
    for (let id = last; id !== undefined && steps.length < longestChain; ) {
      const redeemed = await this.#find(id, 'delegation.redeemed')
      if (redeemed === undefined) break
      steps.unshift({ agent: redeemed.data.agent, delegation_id: id })
      id = redeemed.data.parent
    }
    return steps
  }

  async #grant(id: string): Promise<GrantFacts | undefined> {
    const known = this.#grants.get(id)
    if (known !== undefined) return known
    const created = await this.#find(id, 'grant.created')
    if (created === undefined) return undefined
    const { grant } = created.data
    const signed = await this.#signers(grant, Date.parse(created.time))
    const facts: GrantFacts = {
      grantId: id,
      requestId: grant.request_id,
      agent: grant.agent,
      task: grant.authority.task,
      mode: grant.mode,
      rule: grant.statement.rule.id,
      ...(grant.statement.emergency === undefined ? {} : { emergency: true as const }),
      authority: grant.authority,
      notBefore: grant.not_before,
      notAfter: grant.not_after,
      ...signed,
    }
    this.#grants.set(id, facts)
    const [oldest] = this.#grants.keys()
    if (this.#grants.size > remembered && oldest !== undefined) this.#grants.delete(oldest)
    return facts
  }

  /** Names only approvers whose signatures were verified here: a stolen issuer could name anyone (V3). */
  async #signers(grant: Grant, at: number): Promise<Pick<GrantFacts, 'approvers' | 'problem'>> {
    const content = verifyGrantContent(grant)
    if (!content.ok) return { approvers: [], problem: content.code }
    const { projection, trust } = this.#options
    await projection.readToEnds(['registry.v1'], registryMs)
    const registry = projection.ledger.registry.view(at)
    const { statement, assertions } = grant
    const verified = await verifyApproval({ statement, assertions, registry, trust, at, ...ofOlderLogs })
    return verified.ok ? { approvers: verified.approverIds } : { approvers: [], problem: verified.code }
  }

  /** As for a grant, names only approvers whose signatures were verified here (V3). */
  async #yes(requestId: string, digest: string, grant: GrantFacts | undefined): Promise<YesFacts> {
    const unapproved = (problem: string): YesFacts => ({ requestId, approvers: [], problem })
    const approved = await this.#find(approvalOf(requestId), 'request.approved')
    if (approved === undefined) return unapproved('access_request_unknown')
    if (grant === undefined) return unapproved('grant_unknown')
    const { statement, assertions } = approved.data
    if (statement.kind !== 'step_up' || statement.request_id !== requestId) return unapproved('statement_unknown')
    if (statement.action_digest !== digest) return unapproved('action_digest_mismatch')
    const { projection, trust } = this.#options
    await projection.readToEnds(['registry.v1'], registryMs)
    const at = Date.parse(approved.time)
    const { grantId: id, agent, authority, mode, notAfter: not_after } = grant
    const of = { id, agent, authority, mode, not_after } as StepUpCheck['grant']
    const registry = projection.ledger.registry.view(at)
    const verified = await verifyStepUp({ statement, assertions, grant: of, registry, trust, at, ...ofOlderLogs })
    return verified.ok ? { requestId, approvers: verified.approverIds } : unapproved(verified.code)
  }

  async #find<T extends Beginning>(id: string, ...types: readonly T[]): Promise<LeafEventOf<T> | undefined> {
    const found = await this.#look(id, types)
    if (found !== undefined || this.#fresh) return found
    // Topics enter the log in parallel, so a decision may come before its grant.
    await this.#options.caughtUp()
    this.#fresh = true
    return this.#look(id, types)
  }

  async #look<T extends Beginning>(id: string, types: readonly T[]): Promise<LeafEventOf<T> | undefined> {
    const index = this.#options.index.beginningOf(id)
    const bytes = index === undefined ? undefined : await this.#options.readLeaf(index)
    const event = index !== undefined && bytes ? traceLeaf(index, bytes)?.event : undefined
    return types.some((type) => type === event?.type) ? (event as LeafEventOf<T>) : undefined
  }
}

/** The agent of an event without a grant. */
function agentNamed(event: LeafEvent): string | undefined {
  if (event.type === 'request.received' && event.data.kind !== 'registry') return event.data.agent
  if (event.type === 'decision.denied') return event.data.actor?.sub_agent ?? event.data.actor?.agent
  return event.type === 'revocation.declared' && event.data.kind === 'agent' ? event.data.target : undefined
}
