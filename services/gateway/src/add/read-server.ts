import { errorCode, ServiceError } from '@bailiwick/errors'
import { withDeadline } from '@bailiwick/kit'
import type { Era, JsonObject } from '@bailiwick/mcp'
import type { Hello, Manifest } from '../manifest/manifest.ts'
import { ask, helloOf, initialize, observe } from '../manifest/observe.ts'
import type { Channel } from '../servers/channel.ts'
import type { ServerAccess } from '../servers/upstreams.ts'

/** Everything that a server says of itself, with the hash that the gateway will compare. */
export interface ReadServer {
  era: Era
  manifest: Manifest
  hash: string
  capabilities: JsonObject
}

export interface ReadServerOptions {
  newId: () => string
  /** For the whole reading, in ms: a server that gives one page a minute would otherwise keep a person waiting for hours. */
  deadlineMs: number
  /** Aborted when the person stops waiting. The server's processes must be ended then: they do not get the signals of a terminal. */
  signal?: AbortSignal | undefined
}

/** A server of the legacy era may never answer a method that it does not know, so this question alone has a short wait. */
const helloMs = 10_000

/**
 * Reads a server in the newest revision that it speaks. Everything that it opened is closed when it settles. Rejects with `upstream_…` and
 * `answer_malformed`, whose detail says in which revision the server failed.
 */
export async function readServer(access: ServerAccess, options: ReadServerOptions): Promise<ReadServer> {
  const { newId, deadlineMs, signal } = options
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(new ServiceError('upstream_timed_out')), deadlineMs)
  const stop = signal === undefined ? late.signal : AbortSignal.any([late.signal, signal])
  try {
    const modern = await inEra(access, 'modern', { newId, stop, helloMs: Math.min(helloMs, deadlineMs / 2) })
    if ('read' in modern) return modern.read
    // Servers of the legacy era refuse a request before `initialize`, each in its own way.
    if (modern.saidHello || stop.aborted) throw failure('2026-07-28', modern.error)
    const legacy = await inEra(access, 'legacy', { newId, stop, helloMs: deadlineMs })
    if ('read' in legacy) return legacy.read
    throw failure('2025-11-25', legacy.error)
  } finally {
    clearTimeout(timer)
  }
}

type Attempt = { read: ReadServer } | { saidHello: boolean; error: unknown }

async function inEra(
  access: ServerAccess,
  era: Era,
  { newId, stop, helloMs }: { newId: () => string; stop: AbortSignal; helloMs: number },
): Promise<Attempt> {
  const unlessStopped = <T>(work: Promise<T>): Promise<T> => Promise.race([work, rejection(stop)])
  let saidHello = false
  let channel: Channel | undefined
  try {
    const opened = await access.open(era)
    channel = opened
    const hello = await unlessStopped(withDeadline(helloIn(opened, newId), helloMs, 'upstream_timed_out'))
    if (hello === undefined) throw new ServiceError('upstream_failed', 'the server does not begin')
    saidHello = true
    const reading = observe(opened, { identity: access.identity(), hello, newId })
    const { manifest, hash } = await unlessStopped(reading)
    return { read: { era, manifest, hash, capabilities: hello.capabilities } }
  } catch (error) {
    return { saidHello, error }
  } finally {
    await channel?.end()
  }
}

const helloIn = async (channel: Channel, newId: () => string): Promise<Hello | undefined> =>
  channel.era === 'modern'
    ? helloOf(await ask(channel, newId(), 'server/discover', {}))
    : await initialize(channel, newId)

/** Rejects when the signal is aborted, and never settles otherwise. */
function rejection(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}

function failure(revision: string, error: unknown): unknown {
  const code = errorCode(error)
  if (code === 'internal') return error
  const detail = error instanceof ServiceError ? error.detail : undefined
  return new ServiceError(code, `asked in revision ${revision}${detail === undefined ? '' : `: ${detail}`}`, {
    cause: error,
  })
}
