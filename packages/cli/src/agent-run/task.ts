import type { AccessTask, Agent } from '@bailiwick/agent'
import { type StandingGrant, standingGrant } from '@bailiwick/agent/sidecar'
import { errorCode, ServiceError } from '@bailiwick/errors'
import { after } from '@bailiwick/kit'
import { jsonIn } from '../commands/request.ts'
import type { Io } from '../io.ts'

export interface TaskOptions {
  /** Files, each with a `bailiwick_task` in JSON. */
  task: readonly string[]
  /** Grants that exist already. */
  grant: readonly string[]
  expires: number
  purpose?: string
}

export interface ObtainedGrant extends StandingGrant {
  /** Whether it was asked for here, and so is given back at the end. */
  readonly isOwn: boolean
}

interface Asking {
  agent: Pick<Agent, 'request' | 'status' | 'waitForDecision' | 'cancel' | 'complete' | 'grantState' | 'credential'>
  io: Pick<Io, 'err' | 'progress' | 'clock'>
  /** People answer in its console. */
  publicUrl: string
  /** Ends the wait; the requests are then withdrawn. */
  signal: AbortSignal
}

/** Shown to a person who watches, in ms. */
const tickMs = 1000

/**
 * The grants that the program works under: those that were named, and those that a human gives now, once each request is answered. Empty: the
 * human said no to all. Throws `grant_not_active` if one of them does not live. What was asked for here and cannot be used is given back.
 */
export async function obtainGrants(options: TaskOptions, asking: Asking): Promise<ObtainedGrant[]> {
  const authorities = options.task.map((file) => jsonIn('--task', file))
  const named = [...new Set(options.grant)].map((grantId) => ({ grantId, isOwn: false }))
  // Those that were named are looked at before a human is asked.
  const standing = await Promise.all(named.map((each) => usable(each, asking)))
  const own = (await ask(authorities, options, asking)).map((grantId) => ({ grantId, isOwn: true }))
  try {
    return [...standing, ...(await Promise.all(own.map((each) => usable(each, asking))))]
  } catch (error) {
    for (const { grantId } of own) await giveBack(grantId, asking)
    throw error
  }
}

async function usable({ grantId, isOwn }: { grantId: string; isOwn: boolean }, asking: Asking): Promise<ObtainedGrant> {
  await mustLive(grantId, asking)
  return { ...(await standingGrant(asking.agent, grantId)), isOwn }
}

/** Gives a grant back that was asked for here. One that ended meanwhile need not be. */
export async function giveBack(
  grantId: string,
  { agent, io }: { agent: Pick<Agent, 'complete'>; io: Pick<Io, 'err'> },
): Promise<void> {
  await agent.complete({ grantId }).catch((error: unknown) => {
    const code = errorCode(error)
    if (code === 'grant_not_active') return
    io.err(`bailiwick: ${grantId} could not be given back, and lives until it expires: ${code}`)
  })
}

/** The grants that humans gave for these tasks. They see all requests at once; where rules split one, each part is a grant of its own. */
async function ask(
  authorities: readonly unknown[],
  { expires, purpose }: TaskOptions,
  asking: Asking,
): Promise<string[]> {
  const { agent, io, publicUrl, signal } = asking
  if (authorities.length === 0) return []
  const waiting: AccessTask[] = []
  const given: string[] = []
  using _ = ticking(asking)
  try {
    for (const authority of authorities) {
      const terms = { expiresInSeconds: expires, ...(purpose === undefined ? {} : { purpose }) }
      const asked = await agent.request({ authority, mode: 'window', ...terms })
      waiting.push(asked)
      io.err(`bailiwick: a human answers the request at ${consoleOf(publicUrl)}/requests/${asked.requestId}`)
    }
    for (const asked of waiting) {
      const { requestId } = asked
      const answered = asked.status === 'pending' ? await agent.waitForDecision(requestId, { signal }) : asked
      io.err(`bailiwick: the answer is: ${answered.status}${waiting.length > 1 ? ` (${requestId})` : ''}`)
      given.push(...grantsIn(answered))
    }
    return [...new Set(given)]
  } catch (error) {
    // One that was answered a moment ago cannot be cancelled.
    for (const { requestId } of waiting)
      await agent.cancel(requestId).catch(async () => {
        const answered = await agent.status(requestId).catch(() => undefined)
        if (answered !== undefined) given.push(...grantsIn(answered))
      })
    for (const grantId of new Set(given)) await giveBack(grantId, asking)
    throw error
  }
}

const consoleOf = (publicUrl: string) => `${publicUrl.replace(/\/+$/, '')}/console`
const grantsIn = ({ grantId, items = [] }: AccessTask): string[] =>
  grantId === undefined ? items.flatMap((item) => item.grantId ?? []) : [grantId]

/** Says to a person who watches for how long the command has waited. */
function ticking({ io }: Pick<Asking, 'io'>): Disposable {
  const stopped = new AbortController()
  const since = io.clock.monotonic()
  const tick = async () => {
    while (!stopped.signal.aborted) {
      io.progress?.(`waiting for the answer: ${Math.round((io.clock.monotonic() - since) / 1000)} s`)
      await after(tickMs, stopped.signal).catch(() => undefined)
    }
  }
  void tick()
  return { [Symbol.dispose]: () => stopped.abort() }
}

const beginning = { tries: 50, ms: 200 }

/** Nothing is started before the issuer said once that the grant lives: later only its end is looked for. */
async function mustLive(grantId: string, { agent, signal }: Asking): Promise<void> {
  for (let tries = 1; ; tries++) {
    const state = await agent.grantState({ grantId }).catch((error: unknown) => {
      if (errorCode(error) !== 'service_unready' || tries === beginning.tries) throw error
      return undefined
    })
    if (state === 'live') return
    if (state !== undefined) throw new ServiceError('grant_not_active', `the grant is ${state}`)
    await after(beginning.ms, signal)
  }
}
