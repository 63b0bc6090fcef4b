import {
  type AuthZenDecider,
  type AuthZenDecision,
  type AuthZenEvaluation,
  type AuthZenFound,
  type AuthZenSearch,
  type AuthZenSession,
  isSupported,
  spellObligations,
} from '@bailiwick/authzen'
import { type DenialReason, ServiceError } from '@bailiwick/errors'
import { type Clock, SerialQueue } from '@bailiwick/kit'
import type { AuthZenPolicies, PolicyAnswer, Purpose } from '@bailiwick/policy'
import type { ActivePlainPolicies, HeldPolicies } from './active-plain-policies.ts'
import { isBearer } from './caller-token.ts'

/** How many searches of one address, and of all, may run or wait. */
export const mostSearches = { maxPerKey: 256, max: 1024 }
/** How many requests for evaluations may run or wait, each with one evaluation at a time: no more than a server has connections. */
export const mostEvaluations = { maxPerKey: 1024, max: 4096 }

/** `token`: the token that callers must present. Without it, the listener must be reachable only from this machine. */
export function plainDecider(
  policies: Pick<ActivePlainPolicies, 'current' | 'hold'>,
  token: string | undefined,
  clock: Pick<Clock, 'monotonic'>,
): AuthZenDecider {
  // By address, because all callers have the same token.
  const searches = new SerialQueue(mostSearches)
  const evaluations = new SerialQueue(mostEvaluations)
  const pace = new Pace(clock)
  const sessionOf = (address: string): AuthZenSession => {
    let own: Pace | undefined
    const turn = (decide: () => AuthZenDecision) => {
      own ??= new Pace(clock)
      const { isLong } = own
      return evaluations.serially(address, async () => {
        // A short request finishes at once, so short requests never wait for each other, however many arrive together.
        if (isLong()) await pace.rest()
        return decide()
      })
    }
    return { evaluate: inTurn(policies, turn), search: (search) => searches.serially(address, () => found(search)) }
  }
  const found = async (search: AuthZenSearch): Promise<AuthZenFound> => {
    for (;;) {
      const active = policies.current()
      const ids = await permittedBy(active, search, new Pace(clock), () => policies.current() === active)
      // Otherwise another set became active meanwhile, and an answer from two sets would be true of neither. Search again.
      if (ids) return { ids, context: { policy_set: active.hash } }
    }
  }
  return {
    admit({ authorization, confidential, address }) {
      // A token that others could read in transit may be in their hands by now (V11).
      if (token !== undefined && !(confidential && isBearer(authorization, token)))
        throw new ServiceError('caller_unauthenticated')
      return sessionOf(address)
    },
  }
}

/** The evaluations of one request: all by one set, one after the other, with turns for other requests between them (V18). */
function inTurn(
  policies: Pick<ActivePlainPolicies, 'hold'>,
  turn: (decide: () => AuthZenDecision) => Promise<AuthZenDecision>,
): AuthZenSession['evaluate'] {
  let held: HeldPolicies | undefined
  let left = 0
  let last: Promise<unknown> = Promise.resolve()
  const release = () => {
    if (left > 0) return
    held?.release()
    held = undefined
  }
  return async (evaluation) => {
    left++
    held ??= policies.hold()
    const { policies: active } = held
    const decided = last.then(() => turn(() => decisionOf(active, evaluation)))
    last = decided.catch(() => undefined)
    try {
      return await decided
    } finally {
      // A caller that evaluates one after the other begins the next evaluation before this release.
      if (--left === 0) setImmediate(release)
    }
  }
}

/** A request holds up all others for at most this many ms plus its longest evaluation. */
const pauseAfterMs = 10

class Pace {
  readonly #clock: Pick<Clock, 'monotonic'>
  #since: number

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock
    this.#since = clock.monotonic()
  }

  /** Whether the request has run this long without a rest. */
  readonly isLong = (): boolean => this.#clock.monotonic() - this.#since >= pauseAfterMs

  async rest(): Promise<void> {
    if (!this.isLong()) return
    await new Promise(setImmediate)
    this.#since = this.#clock.monotonic()
  }
}

/** After this many candidates other requests get a turn (V18). */
const atOnce = 32

/** undefined: `goesOn` returned false. */
async function permittedBy(
  active: AuthZenPolicies,
  search: AuthZenSearch,
  pace: Pace,
  goesOn: () => boolean,
): Promise<string[] | undefined> {
  const { ids, evaluation } = active.candidates(search)
  const permitted: string[] = []
  for (const [n, id] of ids.entries()) {
    if (n % atOnce === atOnce - 1) await new Promise(setImmediate)
    await pace.rest()
    if (!goesOn()) return undefined
    if (decisionOf(active, evaluation(id), 'search').decision) permitted.push(id)
  }
  return permitted
}

/** The body does not depend on the time: the same request gives the same body. */
function decisionOf(active: AuthZenPolicies, evaluation: AuthZenEvaluation, purpose?: Purpose): AuthZenDecision {
  const answer = active.evaluate(evaluation, purpose)
  const policies = answer.outcome === 'invalid' ? [] : answer.policies
  const isAllowed = answer.outcome === 'allow'
  const duties = active.dutiesOf(answer.outcome === 'error' ? [] : policies)
  const { subject, action, resource, context } = evaluation
  const about = { subject: `${subject.type} ${subject.id}`, action: action.name, resource, decision: isAllowed }
  const obligations = spellObligations(duties, about)
  const more = { policies, policy_set: active.hash }
  if (isAllowed && !isSupported(duties, declaredIn(context)))
    return { decision: false, context: { reason: 'obligation_unsupported', ...more } }
  const obliged = obligations.length === 0 ? more : { ...more, obligations }
  return answer.outcome === 'allow'
    ? { decision: true, context: obliged }
    : { decision: false, context: { reason: reasons[answer.outcome], ...obliged } }
}

/** The obligations that an enforcement point declares that it can do. A value that is not a list of names may be a policy's own context. */
function declaredIn(context: AuthZenEvaluation['context']): readonly string[] | undefined {
  const declared = context?.supported_obligations
  return Array.isArray(declared) && declared.every((type) => typeof type === 'string') ? declared : undefined
}

const reasons = {
  deny: 'policy_denied',
  step_up: 'policy_denied',
  error: 'policy_error',
  invalid: 'request_invalid',
} as const satisfies Record<Exclude<PolicyAnswer['outcome'], 'allow'>, DenialReason>
