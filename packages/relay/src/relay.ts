import type { Action } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { unlessAborted } from '@bailiwick/kit'
import type { Effect, EnforcementPoint, MappedAction, Permitted, Refusal, Round } from '@bailiwick/pep'
import { type Answer, answerOf } from './answer.ts'
import type { Executed, Refused, RelayRequest, Upstream } from './upstream.ts'

/** What the caller proved or claims. The gate makes it from fields that it takes out of the request. */
export interface Caller {
  readonly credential: string | undefined
  readonly proof: string | undefined
  readonly callId: string | undefined
  /** The URI that the proof was made for: the configured address and the path as received. Never taken from a Host field. */
  readonly htu: string
}

export interface RelayOptions {
  point: EnforcementPoint
  upstream: Upstream
  /** The longest answer, in bytes, streams included; default 64 MiB. A decision may lower it. */
  mostAnswerBytes?: number
  /** The longest answer that is held because fields must be hidden in it, in bytes; default 4 MiB. */
  mostHeldBytes?: number
  /** How many bytes are requested from a task's budget for an answer; if left out, the decision point chooses. */
  askedBytes?: number
  /**
   * How long an answer may stream, in seconds, at most 8 h; default 300. The call is cut after that. If no outcome comes, its reservation
   * is held for as long, so ask for more only if a request is known to begin a long stream.
   */
  answerSeconds?: number | ((request: RelayRequest) => number)
  /** The hash of what the upstream says of itself, for the decision point to compare with what people signed. */
  manifest?: string | undefined
  /** The round of an earlier call that this call goes on with (`Permitted.round`). */
  continues?: Round | undefined
  /** What the tool's declared mapping makes of the call (`Observed.mapped`). */
  mapped?: readonly MappedAction[] | undefined
}

/** An allowed call. `executed.body` already obeys the decision's obligations; its end reports the outcome. */
export interface Relayed {
  readonly allowed: true
  readonly decisionId: string
  readonly callId: string
  readonly executed: Executed
  /** Resolves once nothing more is sent, even if the answer was cut while its reader waited for something else. Never rejects. */
  readonly over: Promise<unknown>
}

export interface Relay {
  /**
   * Decides and, if allowed, executes once. A denial and a request that stands for no action are values: nothing was sent. Rejects with a
   * ServiceError for an error after the permit (`upstream_failed`, `answer_withheld`, `stream_cut`, …), once its outcome is reported.
   *
   * Read `executed.body` to its end, or call `return` on it: only then is the outcome reported, and later if the effect goes on
   * (`Executed.goesOn`). `clientGone` is aborted when the client went away before that; the relay then gives up the upstream, and the
   * outcome says `unknown`.
   */
  run(request: RelayRequest, caller: Caller, clientGone?: AbortSignal): Promise<Relayed | Refusal | Refused>
}

const defaults = { mostAnswerBytes: 64 * 1024 * 1024, mostHeldBytes: 4 * 1024 * 1024, answerSeconds: 300 }

/**
 * Puts an enforcement point in front of an upstream: the action is read from the very bytes that are then sent, they are sent once and only
 * under a permit for that action, and the answer streams under the decision's obligations until it ends or its grant does.
 */
export function openRelay(options: RelayOptions): Relay {
  const { point, upstream, mostAnswerBytes, mostHeldBytes, askedBytes, answerSeconds, manifest, continues, mapped } = {
    ...defaults,
    ...options,
  }

  async function execute(permitted: Permitted, request: RelayRequest, gone: AbortSignal | undefined): Promise<Ran> {
    const life = lifeOf(permitted, gone)
    const alive = { ...permitted, signal: life.signal }
    try {
      if (life.signal.aborted) throw new ServiceError('call_not_begun')
      const executing = upstream.execute(alive, { ...request, body: permitted.bytes })
      // An adapter that does not heed the signal must not hold up the outcome; what it still brings is given up.
      executing.then(
        ({ body }) => (life.signal.aborted ? body[Symbol.asyncIterator]().return?.() : undefined),
        () => undefined,
      )
      const executed = await unlessAborted(executing, life.signal)
      const answer = await answerOf(executed, {
        owed: permitted.owed,
        signal: life.signal,
        mostBytes: mostAnswerBytes,
        mostHeldBytes,
      })
      const effect = answer.over.then(async (ofAnswer) => {
        life.endAnswer()
        return { ...ofAnswer, ...(await wholeEffect(ofAnswer, executed)) }
      })
      void effect.finally(life.end)
      return { ...answer, effect }
    } catch (error) {
      life.end()
      throw error
    }
  }

  return {
    async run(request, caller, clientGone) {
      const first = upstream.toAction(request)
      if ('refused' in first) return first
      const { credential, proof, callId, htu } = caller
      const call = {
        ...{ credential, proof, callId, htu, htm: request.method },
        bytes: request.body,
        action: (bytes: Uint8Array) => actionOf(upstream, { ...request, body: bytes }),
        holdsAnswer: true,
        mostBytes: askedBytes,
        answerSeconds: typeof answerSeconds === 'number' ? answerSeconds : answerSeconds(request),
        ...{ manifest, continues, mapped },
      }
      const guarded = await point
        .guard(
          call,
          (permitted) => execute(permitted, request, clientGone),
          ({ effect }) => effect,
        )
        .catch((error: unknown) => {
          throw serviceErrorOf(error)
        })
      if (!guarded.allowed) return guarded
      const { decisionId, callId: id, result } = guarded
      if ('withheld' in result) throw serviceErrorOf(result.withheld)
      return { allowed: true, decisionId, callId: id, executed: result.executed, over: result.over }
    },
  }
}

/** An answer, and the effect that its outcome reports once nothing of it goes on. */
type Ran = Answer & { effect: Promise<Effect> }

/** The effect of a call, of which more may go on than its answer. */
async function wholeEffect(ofAnswer: Effect, executed: Executed): Promise<Effect> {
  const rest = ofAnswer.cut === undefined ? await executed.goesOn?.(ofAnswer) : undefined
  if (rest === undefined) return ofAnswer
  return { ...rest, egress_bytes: (ofAnswer.egress_bytes ?? 0) + (rest.egress_bytes ?? 0) }
}

/** The second reading, of the copy that will be sent: it must give an action as well. */
function actionOf(upstream: Upstream, request: RelayRequest): Action {
  const action = upstream.toAction(request)
  if ('refused' in action) throw new ServiceError(action.refused, action.detail)
  return action
}

interface Life {
  readonly signal: AbortSignal
  /** From now on, it does not matter whether the client is there. */
  endAnswer(): void
  end(): void
}

/** Aborted when the permit's life ends, when the outcome would be late, or when the client has gone. Call `end` once none of it matters. */
function lifeOf({ signal, owed }: Permitted, gone: AbortSignal | undefined): Life {
  const life = new AbortController()
  const cut = () => life.abort(signal.reason)
  const leave = () => life.abort(new ServiceError('outcome_unknown', 'the client has gone'))
  const late = () => life.abort(new ServiceError('stream_cut', 'deadline_exceeded'))
  if (signal.aborted) cut()
  else if (gone?.aborted) leave()
  signal.addEventListener('abort', cut, { once: true })
  gone?.addEventListener('abort', leave, { once: true })
  const timer = owed.withinMs === undefined ? undefined : setTimeout(late, owed.withinMs)
  const endAnswer = () => gone?.removeEventListener('abort', leave)
  const end = () => {
    clearTimeout(timer)
    signal.removeEventListener('abort', cut)
    endAnswer()
  }
  return { signal: life.signal, endAnswer, end }
}

/** Hides from clients what errors of an adapter say that are not ours. */
function serviceErrorOf(error: unknown): ServiceError {
  return error instanceof ServiceError ? error : new ServiceError('internal', undefined, { cause: error })
}
