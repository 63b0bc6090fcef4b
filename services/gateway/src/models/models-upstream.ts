import type { Action } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { Permitted } from '@bailiwick/pep'
import { bodyOf, type Executed, fieldOf, type RawHeaders, type Refused, type Upstream } from '@bailiwick/relay'
import { type ModelRequest, modelAction, readModelRequest } from '../model-requests/model-request.ts'
import { whole } from '../servers/channel.ts'
import type { HttpSender } from '../servers/http-sender.ts'
import { Meter } from './meter.ts'
import { failedError } from './model-answers.ts'
import type { ModelsEntry } from './models-entry.ts'
import { costOf, spellMicros } from './prices.ts'

/** Fields of an answer that a client needs. All others stay here: they name the account, and say what others used of it. */
const shown: ReadonlySet<string> = new Set([
  'content-length',
  'content-type',
  'request-id',
  'retry-after',
  'retry-after-ms',
  'x-request-id',
  'x-should-retry',
])
/** The client would take these for a word about its own credential, and their bodies quote parts of the gateway's key. */
const ofTheKey: ReadonlySet<number> = new Set([401, 403, 407])

/** Fields that are sent on. All others are dropped: they could name another account, or another key. */
const forwarded: ReadonlySet<string> = new Set(['accept', 'content-type', 'anthropic-version', 'anthropic-beta'])

export interface ModelsUpstreamOptions {
  name: string
  entry: ModelsEntry
  /** Sends to the endpoint at a path. */
  send: (path: string, ...sent: Parameters<HttpSender['send']>) => ReturnType<HttpSender['send']>
  /** Whether the caller's permission counts the cost of this call. If not, nothing is sent. */
  isPriced: boolean
  /** Aborted when the client has gone. A call that was not begun then is not begun. */
  gone?: AbortSignal
  /** Whether the usage that comes was asked for by the gateway alone. */
  hidesUsage: boolean
  /** A provider's counts that cannot be true, or are missing: the whole reservation is spent. */
  onUnsettled: () => void
  /** An answer beyond what was reserved. */
  onBeyond: () => void
}

/** A provider of models as the upstream of a relay: it sends the bytes that were decided on, and says what the answer cost. */
export function modelsUpstream({ name, entry, send, ...options }: ModelsUpstreamOptions): Upstream {
  const { currency } = entry.prices
  return {
    toAction: (request): Action | Refused => modelAction(name, entry, request),
    async execute({ signal }: Permitted, request): Promise<Executed> {
      const read = readModelRequest(entry, request)
      if ('refused' in read) throw new ServiceError('invariant_broken', 'a request without an action')
      if (options.gone?.aborted) throw new ServiceError('call_not_begun', 'the client has gone')
      if (!options.isPriced) throw new ServiceError('call_not_begun', 'its cost would not be counted')
      const { method, headers, body } = request
      const kept = headers.filter((_, n) => forwarded.has((headers[n - (n % 2)] ?? '').toLowerCase()))
      const answered = await send(read.endpoint.path, { method, headers: kept, body }, signal)
      const { status } = answered
      if (ofTheKey.has(status)) {
        void answered.body.return?.()
        return refusedKey(entry, status)
      }
      const { does } = read.endpoint
      if (does === 'count' || does === 'list') return { ...answered, headers: shownOf(answered.headers, false) }
      const meter = new Meter({
        api: does === 'embed' ? 'embeddings' : entry.api,
        hidesUsage: options.hidesUsage,
        most: { input: read.bound.input, output: read.asked.output?.tokens ?? 0 },
        mostBytes: mostBytesOf(read, body.length),
        onBeyond: options.onBeyond,
      })
      const isStream = /^text\/event-stream\s*(;|$)/i.test(fieldOf(answered.headers, 'content-type') ?? '')
      const used = () => {
        if (entry.prices.not_charged.includes(status)) return { cost: { amount: '0', currency } }
        const { tokens } = meter
        if (tokens === undefined || status >= 300) {
          options.onUnsettled()
          return {}
        }
        const cost = { amount: spellMicros(costOf(read.price, tokens, read.bound.outside)), currency }
        return { cost, tokens: { input: tokens.input, output: tokens.output } }
      }
      const metered = isStream ? meter.events(answered.body) : meter.whole(answered.body)
      const shownBody = bodyOf(
        () => metered.next(),
        () => answered.body.return?.(),
      )
      return { status, headers: shownOf(answered.headers, isStream), body: shownBody, used }
    },
    async [Symbol.asyncDispose]() {
      // Its sender belongs to the endpoints, and ends with them.
    },
  }
}

/** A stream may have events that its client does not get, so its length stays here too. */
const shownOf = (headers: RawHeaders, isStream: boolean): RawHeaders =>
  headers.filter((_, n) => {
    const field = (headers[n - (n % 2)] ?? '').toLowerCase()
    return shown.has(field) && !(isStream && field === 'content-length')
  })

/** In place of a provider's word on the gateway's key. It costs nothing only if the operator says so of the provider's status. */
function refusedKey({ api, prices: { currency, not_charged } }: ModelsEntry, theirs: number): Executed {
  const error = new ServiceError('upstream_failed', 'the provider does not accept the key of the gateway')
  const { status, headers, body } = failedError(api, error)
  const fields = { ...headers, 'content-type': 'application/json' }
  return {
    status,
    headers: Object.entries(fields).flat(),
    body: whole(Buffer.from(JSON.stringify(body))),
    ...(not_charged.includes(theirs) ? { used: () => ({ cost: { amount: '0', currency } }) } : {}),
  }
}

/** An answer repeats the request's instructions and tools, and a token in an event of its own takes a few hundred bytes, some of them four times. */
const mostBytesOf = ({ endpoint, asked }: ModelRequest, length: number) =>
  endpoint.does === 'embed' ? mostVectors : 1_048_576 + 8 * length + 4096 * (asked.output?.tokens ?? 0)

/** The longest answer that a relay passes on. */
const mostVectors = 64 * 1024 * 1024
