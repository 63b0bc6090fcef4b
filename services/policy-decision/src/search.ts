import type { AuthZenEvaluation, AuthZenFound, AuthZenSearch } from '@bailiwick/authzen'
import { agentIdOf, type EnforcementPoint } from '@bailiwick/contracts'
import { type DenialReason, denialReasons, ServiceError } from '@bailiwick/errors'
import { SerialQueue } from '@bailiwick/kit'
import { actingAgent, tentative } from '@bailiwick/projection'
import { type EvaluationRequest, evaluationRequest, isNameable } from './http/evaluation-request.ts'
import { isCaughtUp } from './order/catch-up.ts'
import type { Admission, Clocked, Judges, Logged, State } from './ports.ts'
import { holdersOf } from './steps/authority.ts'
import { type BudgetLeft, budgeted, budgetLeft } from './steps/budget.ts'
import { readToken } from './steps/credential.ts'
import { covered, permitted, verifiedForSearch } from './steps/table.ts'

type Ports = Clocked & State & Judges & Logged & Pick<Admission, 'catchUp' | 'decisionDeadlineMs'>

/** After this many candidates other requests get a turn (V18). */
const atOnce = 8

/**
 * Finds what decisions would permit now, among what the registry and the credential's own authority name (AuthZEN 1.0 §8). It takes the
 * steps 1 to 7 of DESIGN §7.4, but reserves, records and signs nothing. The proof must be valid but is not counted: a search permits
 * nothing. Throws `state_stale` and `deadline_exceeded`, because a partial answer would look complete.
 */
export async function searchPermitted(
  ports: Ports,
  point: EnforcementPoint,
  search: AuthZenSearch,
): Promise<AuthZenFound> {
  const started = ports.clock.monotonic()
  const left = () => ports.decisionDeadlineMs - (ports.clock.monotonic() - started)
  const candidates = candidatesOf(ports, point, search)
  if (!Array.isArray(candidates)) return nothing(candidates.reason)
  if (!(await isCaughtUp(ports, left()))) throw new ServiceError('state_stale')
  const ids: string[] = []
  const reasons = new Set<DenialReason>()
  const budgets: BudgetLeft[] = []
  for (const [n, { id, evaluation }] of candidates.entries()) {
    if (n % atOnce === 0) await new Promise(setImmediate)
    if (left() <= 0) throw new ServiceError('deadline_exceeded')
    const { reason, budget } = await whyNot(ports, point, evaluationRequest(evaluation), left())
    if (budget !== undefined) budgets.push(budget)
    if (reason === 'state_stale') throw new ServiceError('state_stale')
    if (reason === undefined) ids.push(id)
    else reasons.add(reason)
  }
  const [reason] = reasons
  const found: AuthZenFound = ids.length === 0 && reason !== undefined && reasons.size === 1 ? nothing(reason) : { ids }
  const [budget] = budgets
  return budget === undefined ? found : { ...found, context: { ...found.context, budget: { ...budget } } }
}

/**
 * Searches that wait for one another. The cost of a search grows with its candidates, so each agent has one at a time: one behind a gateway
 * must not hold up the others (V18). Searches without a credential that verifies wait for each other, and fail at once.
 */
export class Searches {
  readonly #ports: Ports
  readonly #queue = new SerialQueue({ maxPerKey: 8, max: 256 })

  constructor(ports: Ports) {
    this.#ports = ports
  }

  /** As `searchPermitted`. Rejects with `queue_full` if too many wait. */
  async run(point: EnforcementPoint, search: AuthZenSearch): Promise<AuthZenFound> {
    return this.#queue.serially(`${point.id} ${this.#searcherOf(point, search)}`, () =>
      searchPermitted(this.#ports, point, search),
    )
  }

  #searcherOf(point: EnforcementPoint, search: AuthZenSearch): string {
    const { credential } = observedIn(search)
    const read = credential === undefined ? undefined : readToken(this.#ports, point, credential)
    return typeof read === 'object' ? agentIdOf(actingAgent(read.token)) : ''
  }
}

const nothing = (reason: DenialReason) => ({
  ids: [],
  context: { reason, reason_user: { en: denialReasons[reason].remedy } },
})

async function whyNot(
  ports: Ports,
  point: EnforcementPoint,
  request: EvaluationRequest,
  withinMs: number,
): Promise<{ reason?: DenialReason | undefined; budget?: BudgetLeft }> {
  if (!isNameable(request)) return { reason: 'request_invalid' }
  const caller = verifiedForSearch.take({ point, request }, ports)
  if (caller.refused !== undefined) return { reason: caller.refused }
  const anyArguments = request.observed.any_arguments === true
  const cover = await covered.takeWaiting({ ...caller.facts, withinMs, anyArguments }, ports)
  if (cover.refused !== undefined) return { reason: cover.refused }
  const view = tentative(ports.projection.ledger.decisions.trees.get(cover.facts.tree.id))
  const { refused } = permitted.take({ ...cover.facts, view, purpose: 'search' }, ports)
  const reason = anyArguments && refused !== undefined && passing.has(refused) ? undefined : refused
  // With the arguments left open, the permissions were read as if they cost nothing.
  const asks = request.observed.budget === true && !anyArguments
  return { reason, ...(asks ? { budget: budgetLeft(budgeted(cover.facts.levels, view)) } : {}) }
}

/** Reasons that a human's yes or a moment takes away: a list for an agent shows such a tool, so that it can ask for it or wait. */
const passing: ReadonlySet<DenialReason> = new Set(['step_up_required', 'uses_reserved', 'budget_reserved'])

interface Candidate {
  id: string
  evaluation: AuthZenEvaluation
}

/** The candidates that can be checked one by one. A prefix gives none, since it matches endlessly many. */
function candidatesOf(
  ports: Ports,
  point: EnforcementPoint,
  search: AuthZenSearch,
): Candidate[] | { reason: DenialReason } {
  const observed = observedIn(search)
  if (observed.credential === undefined) return { reason: 'credential_missing' }
  const signed = readToken(ports, point, observed.credential)
  if (typeof signed === 'string') return { reason: signed }
  const { token } = signed
  const { grants, registry } = ports.projection.ledger
  const tree = grants.trees.get(token.grant.root)
  if (!tree) return { reason: 'grant_unknown' }
  const chain = holdersOf(ports, tree, token)
  if (!chain.ok) return { reason: chain.reason }
  const { permissions } = (chain.holders.at(-1) ?? chain.holders[0]).authority
  const each = (ids: Iterable<string>, evaluationOf: (id: string) => AuthZenEvaluation): Candidate[] =>
    [...new Set(ids)].map((id) => ({ id, evaluation: evaluationOf(id) }))

  switch (search.entity) {
    case 'subject': {
      const { type } = search.subject
      // Only the credential's own subject may act with it.
      return each(type === 'agent' ? [token.sub] : [], (id) => ({ ...search, subject: { ...search.subject, id } }))
    }
    case 'resource': {
      const { type } = search.resource
      const scopes: { type: string; id?: string }[] = [
        ...permissions.map(({ resource }) => resource),
        ...point.resources,
      ]
      const named = scopes.flatMap((scope) => (scope.type === type && scope.id !== undefined ? [scope.id] : []))
      const tools = type === 'tool' ? registry.toolServers.flatMap(toolIds) : []
      const { resource_prefix: prefix = '' } = observed
      const meant = [...named, ...tools].filter((id) => id.startsWith(prefix))
      return each(meant, (id) => ({ ...search, resource: { ...search.resource, id } }))
    }
    case 'action':
      return each(
        permissions.flatMap(({ actions }) => actions),
        (name) => ({ ...search, action: { name } }),
      )
  }
}

const toolIds = ({ id, tools }: { id: string; tools: object }) => Object.keys(tools).map((name) => `${id}/${name}`)

const observedIn = ({ context }: AuthZenSearch): EvaluationRequest['observed'] =>
  evaluationRequest({ ...placeholder, ...(context ? { context } : {}) }).observed

/** Placeholders for parsing: only the context of a search is read this way. */
const placeholder = { subject: { type: '', id: '' }, action: { name: '' }, resource: { type: '', id: '' } }
