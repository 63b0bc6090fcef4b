import type { Duplex } from 'node:stream'
import { ServiceError } from '@bailiwick/errors'
import type { HttpReply, HttpRequest } from '@bailiwick/host'
import { refusal } from '@bailiwick/pep'
import {
  checkHead,
  clientGone,
  fieldOf,
  type RawHeaders,
  type Relayed,
  requestOf,
  sendExecuted,
} from '@bailiwick/relay'
import type { DecidedEntry } from '../decided-entry.ts'
import { deny } from './deny.ts'
import { asError, bodyFault, closed, mayBeSilent, refuseOrigin, versionFault } from './request-rules.ts'

export interface RouteOptions {
  /** The gateway's own address, without a path. */
  publicUrl: string
  /** The issuer of credentials: the installation's address. */
  issuer: string
  /** Web pages that may call now, by origin. */
  origins: () => readonly string[]
}

/** A request: the entry that serves it, and the target below the entry's address. */
export interface Asked {
  /** Undefined: nothing is there. */
  entry: Pick<DecidedEntry<object>, 'address' | 'call'> | undefined
  /** The path and query below the address, as received. */
  target: string
  /** The target as the client sent it. Default: that of the request. */
  url?: string
  /** For a request whose connection leaves HTTP. */
  leaving?: Leaving | undefined
}

export interface Leaving {
  socket: Duplex
  /** The fields that remain for the gate. */
  fields: RawHeaders
  /** Adds what the gate does not let through. */
  sent?: (headers: RawHeaders) => RawHeaders
}

/**
 * Has a request decided and executed: the steps of all entries whose clients read problem documents. Returns undefined if the gateway itself
 * answered. `read` is called once the version of HTTP is known to be right.
 */
export async function decideAt(
  request: HttpRequest,
  reply: HttpReply,
  { publicUrl, origins }: RouteOptions,
  read: () => Asked,
): Promise<Relayed | undefined> {
  const { rawHeaders, method = '' } = request.raw
  const old = versionFault(request.raw)
  if (old !== undefined) throw asError(old)
  const { entry, target, url = request.raw.url ?? '', leaving } = read()
  const head = checkHead(
    { method, target: url, rawHeaders: leaving?.fields ?? rawHeaders },
    entry?.address ?? publicUrl,
  )
  if ('refused' in head) throw asError(head)
  if (entry === undefined) throw new ServiceError('route_unknown')
  refuseOrigin(request, new Set([new URL(publicUrl).origin, ...origins()]))
  const denied = (denial: Parameters<typeof deny>[1]) => void deny(reply, denial, entry.address)
  if ('ok' in head) return denied(refusal(head.reason))
  const body = request.rawBody ?? Buffer.alloc(0)
  const fault = bodyFault(request.raw, body)
  if (fault !== undefined) throw asError(fault)
  const headers = leaving?.sent?.(head.headers) ?? head.headers
  const gone = leaving === undefined ? clientGone(reply.raw) : closed(leaving.socket)
  const relayed = await entry.call(requestOf({ ...head, headers, target }, body), head.caller, gone)
  if ('refused' in relayed) throw asError(relayed)
  if (!relayed.allowed) return denied(relayed)
  request.callerVerified()
  reply.hijack()
  return relayed
}

/** As `decideAt`, and sends each part of the answer as it arrives. No cache may keep it: the next answer needs its own decision. */
export async function answerAt(...asking: Parameters<typeof decideAt>): Promise<HttpReply> {
  const [request, reply] = asking
  const relayed = await decideAt(...asking)
  if (relayed === undefined) return reply
  const { executed } = relayed
  if (/^text\/event-stream/i.test(fieldOf(executed.headers, 'content-type') ?? '')) mayBeSilent(request, reply)
  const headers = [...executed.headers, 'cache-control', 'no-store', 'x-request-id', request.id]
  await sendExecuted(reply.raw, { ...relayed, executed: { ...executed, headers } })
  return reply
}
