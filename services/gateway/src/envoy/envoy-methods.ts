import { BlockList } from 'node:net'
import { ServiceError, toProblem } from '@bailiwick/errors'
import {
  callerOf,
  type GrpcCall,
  type GrpcMethod,
  networkOf,
  StrangerBuckets,
  type StrangerRate,
} from '@bailiwick/host'
import type { Clock } from '@bailiwick/kit'
import { fieldOf } from '@bailiwick/relay'
import type { AccessLogs } from '../authorize/access-logs.ts'
import { type Asker, answerProxy, denial, provedProxy } from '../authorize/answer-proxy.ts'
import { onlyField } from '../authorize/asked-about.ts'
import type { Authorizers } from '../authorize/authorizers.ts'
import { askingIn } from './check-request.ts'
import { checkResponse } from './check-response.ts'
import { loggedRequestsIn } from './logged-requests.ts'

export interface EnvoyMethodsOptions {
  authorizers: Pick<Authorizers, 'get'>
  logs: Pick<AccessLogs, 'take' | 'leave'>
  clock: Clock
  /** The proxies whose `X-Forwarded-For` is believed. */
  trustedProxies?: BlockList | undefined
  strangersPerSecond: number
}

/** Where Envoy says which entry of gateway.yaml it asks for. */
const entryField = 'bailiwick-entry'
/** A request with the longest head and body that can be decided about, and what Envoy says beside it. */
const mostCheckBytes = 1024 * 1024
/** Envoy sends a batch once it has 16 KiB, unless `buffer_size_bytes` says otherwise. */
const mostLogBytes = 1024 * 1024
const checkMs = 30_000

/**
 * What Envoy calls over gRPC: `ext_authz` and the access log service. Both prove themselves as over HTTP, by the secret in `Bailiwick-Proxy`,
 * before any message is read.
 */
export function envoyMethods(options: EnvoyMethodsOptions): Readonly<Record<string, GrpcMethod>> {
  const { authorizers, logs, clock, trustedProxies = new BlockList(), strangersPerSecond: perSecond } = options
  const buckets = new StrangerBuckets(clock)
  const rate: StrangerRate = { name: 'envoy', perSecond, burst: 10 * perSecond }

  /** Envoy lets a request pass upon an error of gRPC if it is set up so. A denial is therefore an answer. */
  async function check(call: GrpcCall): Promise<Uint8Array> {
    const asker = askerOf(call)
    let isProved = false
    let network = networkOf(call.peer)
    const answer = await answerProxy(authorizers, asker, async () => {
      isProved = true
      call.callerVerified()
      const asking = askingIn(await onlyMessage(call))
      if ('refused' in asking) return asking
      network = networkOf(callerOf(call.peer, fieldOf(asking.rawHeaders, 'x-forwarded-for'), trustedProxies))
      return asking
    })
    if (answer.allowed) return checkResponse(answer)
    const rated = buckets.take(rate, network)
    if (!rated.ok && !isProved) call.hangUp()
    return checkResponse(rated.ok ? answer : tooMany(rated.retryAfterSeconds))
  }

  /** Takes entries until Envoy ends the stream. It expects no answer. */
  async function stream(call: GrpcCall): Promise<Uint8Array> {
    const asker = askerOf(call)
    await provedProxy(authorizers, asker).catch((error: unknown) => {
      if (!buckets.take(rate, networkOf(call.peer)).ok) call.hangUp()
      throw error
    })
    call.callerVerified()
    for await (const message of call.messages) takeAll(asker.name, message)
    return new Uint8Array()
  }

  function takeAll(name: string, message: Uint8Array): void {
    try {
      for (const { mark, isEnd, logged } of loggedRequestsIn(message))
        if (mark === undefined) logs.leave('unmarked')
        else if (isEnd) logs.take(name, mark, logged)
        else logs.leave('interim')
    } catch (error) {
      logs.leave('malformed')
      throw error
    }
  }

  return {
    '/envoy.service.auth.v3.Authorization/Check': { handle: check, mostBytes: mostCheckBytes, withinMs: checkMs },
    '/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs': { handle: stream, mostBytes: mostLogBytes },
  }
}

function askerOf({ metadata }: GrpcCall): Asker {
  const name = onlyField(metadata, entryField)
  return { name: typeof name === 'string' ? name : '', proxy: 'envoy', rawHeaders: metadata }
}

async function onlyMessage({ messages }: GrpcCall): Promise<Uint8Array> {
  let found: Uint8Array | undefined
  for await (const message of messages) {
    if (found !== undefined) throw new ServiceError('request_malformed', 'two messages')
    found = message
  }
  return found ?? new Uint8Array()
}

const tooMany = (seconds: number) =>
  denial('rate_limited', 429, toProblem(new ServiceError('rate_limited')), { 'retry-after': String(seconds) })
