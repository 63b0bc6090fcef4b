import type { Logged } from '../authorize/access-logs.ts'
import { logField } from '../authorize/access-logs.ts'
import { Message, valueIn } from './protobuf.ts'

/** One entry of Envoy's access log about an HTTP request. */
export interface LoggedRequest {
  /** What the gateway gave for this request with its decision. Undefined: the request was not allowed by a decision that waits for a log. */
  readonly mark: string | undefined
  /** Whether the request is over. Envoy can also log when it begins, and from time to time. */
  readonly isEnd: boolean
  readonly logged: Logged
}

const common = { flags: 16, metadata: 17, attempts: 24, intermediate: 27, type: 33 }
const response = { code: 1, bodyBytes: 3 }
/** `AccessLogType`: DownstreamEnd. */
const downstreamEnd = 6n
/** Where Envoy keeps what the authorizer told it. */
const namespace = 'envoy.filters.http.ext_authz'

/** The entries of a `StreamAccessLogsMessage`. Throws `request_malformed`. Entries about TCP are not read. */
export function loggedRequestsIn(message: Uint8Array): LoggedRequest[] {
  const entries = new Message(message, [2]).message(2, [1])?.all(1) ?? []
  return entries.map((bytes) => requestOf(new Message(bytes, [1, 4])))
}

function requestOf(entry: Message): LoggedRequest {
  const told = entry.message(1, Object.values(common)) ?? nothing
  const answer = entry.message(4, Object.values(response)) ?? nothing
  const status = Number(answer.message(response.code, [1])?.integer(1) ?? 0n)
  const sent = answer.integer(response.bodyBytes)
  // A flag says that Envoy did not simply pass on the API's answer. Without exactly one attempt, the API got no request, or several.
  const isPlain = (told.bytes(common.flags)?.length ?? 0) === 0 && told.integer(common.attempts) === 1n
  return {
    mark: markIn(told.message(common.metadata, [1])?.all(1) ?? []),
    isEnd: told.integer(common.type) === downstreamEnd && told.integer(common.intermediate) === 0n,
    logged: {
      status: isPlain ? status : undefined,
      bytes: sent <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(sent) : undefined,
    },
  }
}

const nothing = new Message(new Uint8Array(), [])

function markIn(metadata: readonly Uint8Array[]): string | undefined {
  const struct = valueIn(metadata, namespace)
  const value = struct === undefined ? undefined : valueIn(new Message(struct, [1]).all(1), logField)
  const mark = value === undefined ? '' : new Message(value, [3]).text(3)
  return mark === '' ? undefined : mark
}
