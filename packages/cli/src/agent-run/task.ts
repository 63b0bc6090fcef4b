import type { Agent } from '@bailiwick/agent'
import { errorCode, ServiceError } from '@bailiwick/errors'
import { after } from '@bailiwick/kit'
import { jsonIn } from '../commands/request.ts'
import type { Io } from '../io.ts'

export interface TaskOptions {
  /** A `bailiwick_task` in JSON. */
  task?: string
  /** A grant that exists already. */
  grant?: string
  expires: number
  purpose?: string
}

export interface ObtainedGrant {
  grantId: string
  /** Whether it was asked for here, and so is given back at the end. */
  isOwn: boolean
}

interface Asking {
  agent: Pick<Agent, 'request' | 'waitForDecision' | 'cancel' | 'complete' | 'grantState'>
  io: Pick<Io, 'err' | 'progress' | 'clock'>
  /** People answer in its console. */
  publicUrl: string
  /** Ends the wait; the request is then withdrawn. */
  signal: AbortSignal
}

/** Shown to a person who watches, in ms. */
const tickMs = 1000

/**
 * The grant that the program works under: the one that was named, or one that a human gives now. undefined: the human said no. Throws
 * `grant_not_active` if it does not live, and `config_invalid` if rules split the request: this command works under one grant. A grant that
 * was asked for here and cannot be used is given back.
 */
export async function obtainGrant(options: TaskOptions, asking: Asking): Promise<ObtainedGrant | undefined> {
  const obtained = options.grant === undefined ? await ask(options, asking) : { grantId: options.grant, isOwn: false }
  if (obtained === undefined) return undefined
  try {
    await mustLive(obtained.grantId, asking)
  } catch (error) {
    if (obtained.isOwn) await giveBack(obtained.grantId, asking)
    throw error
  }
  return obtained
}

/** Gives a grant back that was asked for here. One that ended meanwhile need not be. */
export async function giveBack(grantId: string, { agent, io }: Pick<Asking, 'agent' | 'io'>): Promise<void> {
  await agent.complete({ grantId }).catch((error: unknown) => {
    const code = errorCode(error)
    if (code === 'grant_not_active') return
    io.err(`bailiwick: ${grantId} could not be given back, and lives until it expires: ${code}`)
  })
}

async function ask({ task = '', expires, purpose }: TaskOptions, asking: Asking): Promise<ObtainedGrant | undefined> {
  const { agent, io, publicUrl, signal } = asking
  const asked = await agent.request({
    authority: jsonIn('--task', task),
    mode: 'window',
    expiresInSeconds: expires,
    ...(purpose === undefined ? {} : { purpose }),
  })
  const { requestId } = asked
  io.err(`bailiwick: a human answers the request at ${publicUrl.replace(/\/+$/, '')}/console/requests/${requestId}`)
  const since = io.clock.monotonic()
  const ticking = new AbortController()
  void tick(ticking.signal, () =>
    io.progress?.(`waiting for the answer: ${Math.round((io.clock.monotonic() - since) / 1000)} s`),
  )
  try {
    const answered = asked.status === 'pending' ? await agent.waitForDecision(requestId, { signal }) : asked
    const { status, grantId, items = [] } = answered
    io.err(`bailiwick: the answer is: ${status}`)
    if (grantId !== undefined) return { grantId, isOwn: true }
    const parts = items.flatMap((item) => item.grantId ?? [])
    for (const part of new Set(parts)) await giveBack(part, asking)
    if (parts.length > 0)
      throw new ServiceError(
        'config_invalid',
        '--task: rules split this request into several grants, and agent run works under one',
      )
    return undefined
  } catch (error) {
    if (signal.aborted) await agent.cancel(requestId).catch(() => undefined)
    throw error
  } finally {
    ticking.abort()
  }
}

async function tick(signal: AbortSignal, act: () => void): Promise<void> {
  while (!signal.aborted) {
    act()
    await after(tickMs, signal).catch(() => undefined)
  }
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
