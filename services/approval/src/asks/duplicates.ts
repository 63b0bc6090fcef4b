import { parseStrictJson } from '@bailiwick/contracts'
import { decodeBase64url, jcsHash } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { RequestRecord } from '@bailiwick/projection'
import type { Approval } from '../context.ts'
import { taskIdOf } from '../requests.ts'

/** The claims of the agent's signature that say what is asked. Two asks with the same claims are the same ask. */
export interface AskClaims {
  sub?: unknown
  callback?: unknown
  authority?: unknown
  mode?: unknown
  action_digest?: unknown
  rebind?: unknown
  expires_in_seconds?: unknown
  not_before?: unknown
  not_after?: unknown
  grant_id?: unknown
}

interface Repeatable {
  agent: { id: string }
  instanceKey: string
  asked: AskClaims & { sub: string }
}

const foldWithinMs = 3600 * 1000
const firstCoolDownMs = 5 * 60 * 1000
const longestCoolDownMs = 8 * 3600 * 1000
/** After this many denials in a row, with no approval between and for any asks, everything of the agent cools down. */
const strikes = 10

/** Identifies an ask by what it asks, not by signer or time: the same ask signed again has the same hash. */
export function askHash(claims: AskClaims): string {
  const { authority, mode, action_digest, rebind, expires_in_seconds, not_before, not_after, grant_id } = claims
  const length = expires_in_seconds ?? { not_before, not_after }
  return jcsHash({ authority, mode, action_digest, rebind: rebind ?? 'none', length, grant_id })
}

/** As `askHash`, without the task's name, which the agent chose: after a denial, a new name does not make a new ask. */
export function coolDownHash(claims: AskClaims): string {
  const { authority } = claims
  const unnamed = typeof authority === 'object' && authority !== null ? { ...authority, task: undefined } : authority
  return askHash({ ...claims, authority: unnamed })
}

/**
 * The pending request of this instance that asks the same, received within the last hour. A repeated ask is folded into it, so that
 * people are not asked twice. Another instance's request does not match: its grant would belong to that instance.
 */
export function duplicateOf(
  { own, clock }: Approval,
  { agent, instanceKey, asked }: Repeatable,
): RequestRecord | undefined {
  const now = clock.now()
  const hash = askHash(asked)
  return own.of(agent.id).find(({ state, received, receivedAt }) => {
    if (state !== 'pending' || received === undefined || received.kind === 'registry') return false
    if (received.agent !== asked.sub || received.instance_key !== instanceKey) return false
    if (!(now < Date.parse(received.expires_at)) || !(now - (receivedAt ?? 0) < foldWithinMs)) return false
    return hashesOf(received).ask === hash
  })
}

/**
 * After a denial the same ask must wait five minutes, twice as long after each further denial, and at most eight hours. The same
 * applies to everything of an agent that was denied ten times in a row. Throws `rate_limited`, with the time that remains.
 */
export function refuseCoolingDown({ own, clock }: Approval, { agent, asked }: Repeatable): void {
  const hash = coolDownHash(asked)
  const answered = answeredTasks(own.of(agent.id))
  const same = answered.filter((each) => each.coolDown === hash)
  const until = Math.max(restsUntil(same, 1), restsUntil(answered, strikes))
  const leftMs = until - clock.now()
  if (leftMs > 0)
    throw new ServiceError('rate_limited', 'it was denied', { retryAfterSeconds: Math.ceil(leftMs / 1000) })
}

interface Answered {
  coolDown: string
  denied: boolean
  at: number
}

/** Each task that people answered, in the order of the answers. If one part was denied, the whole ask counts as denied. */
function answeredTasks(records: readonly RequestRecord[]): Answered[] {
  const tasks = new Map<string, Answered>()
  for (const record of records) {
    const { state, received, changedAt, approved } = record
    if (received === undefined || received.kind === 'registry') continue
    const denied = state === 'denied'
    if (!denied && approved === undefined) continue
    const task = taskIdOf(record)
    const before = tasks.get(task)
    tasks.set(task, {
      coolDown: hashesOf(received).coolDown,
      denied: denied || before?.denied === true,
      at: Math.max(changedAt, before?.at ?? 0),
    })
  }
  return [...tasks.values()].sort((a, b) => a.at - b.at)
}

function restsUntil(answered: readonly Answered[], from: number): number {
  const inARow = answered.length - 1 - answered.findLastIndex(({ denied }) => !denied)
  if (inARow < from) return 0
  return (answered.at(-1)?.at ?? 0) + Math.min(longestCoolDownMs, firstCoolDownMs * 2 ** (inARow - from))
}

const hashes = new WeakMap<object, { ask: string; coolDown: string }>()

/** The hashes of a received ask, computed once: an agent may have asked for much. */
function hashesOf(received: { request: string }): { ask: string; coolDown: string } {
  const known = hashes.get(received)
  if (known) return known
  const claims = claimsOf(received.request)
  const computed = { ask: askHash(claims), coolDown: coolDownHash(claims) }
  hashes.set(received, computed)
  return computed
}

/** The claims in an ask. Trust them only if the ask was verified when it was received. */
export function claimsOf(request: string): AskClaims {
  const payload = decodeBase64url(request.split('.')[1] ?? '')
  if (payload === undefined) return {}
  try {
    const claims = parseStrictJson(payload)
    return typeof claims === 'object' && claims !== null ? claims : {}
  } catch {
    return {}
  }
}
