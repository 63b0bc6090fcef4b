import { errorCode, errorKinds, ServiceError } from '@bailiwick/errors'
import { fieldsOf, type RawHeaders } from '@bailiwick/kit'

/** The codes of gRPC that this project uses. */
export const grpcStatus = {
  ok: 0,
  invalidArgument: 3,
  deadlineExceeded: 4,
  permissionDenied: 7,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const
export type GrpcStatus = (typeof grpcStatus)[keyof typeof grpcStatus]

/** Before each message: whether it is compressed, and its length in four bytes. */
const prefixBytes = 5

/** A message as it is sent. */
export function frame(message: Uint8Array): Buffer {
  const framed = Buffer.alloc(prefixBytes + message.length)
  framed.writeUInt32BE(message.length, 1)
  framed.set(message, prefixBytes)
  return framed
}

/** The messages of a call. At most one of them, and what arrived with it, is in memory. */
export async function* messagesIn(
  stream: AsyncIterable<Uint8Array>,
  mostBytes: number,
  metadata: RawHeaders = [],
): AsyncGenerator<Uint8Array, void, undefined> {
  if (fieldsOf(metadata, 'grpc-encoding').some((encoding) => encoding !== 'identity')) throw compressed()
  let parts: Uint8Array[] = []
  let length = 0
  for await (const part of stream) {
    parts.push(part)
    length += part.length
    while (length >= prefixBytes) {
      const next = takeMessage(parts, length, mostBytes)
      if (next === undefined) break
      parts = next.rest.length === 0 ? [] : [next.rest]
      length = next.rest.length
      yield next.message
    }
  }
  if (length > 0) throw new ServiceError('request_malformed', 'a message breaks off')
}

/** The first message; undefined if it is not whole yet. Its parts are joined once, when all have arrived. */
function takeMessage(
  parts: Uint8Array[],
  length: number,
  mostBytes: number,
): { message: Uint8Array; rest: Uint8Array } | undefined {
  if ((parts[0]?.length ?? 0) < prefixBytes) parts.splice(0, parts.length, Buffer.concat(parts))
  const [head = new Uint8Array()] = parts
  if (head[0] !== 0) throw compressed()
  const size = new DataView(head.buffer, head.byteOffset, head.byteLength).getUint32(1)
  if (size > mostBytes) throw new ServiceError('body_too_large', 'a message')
  if (length < prefixBytes + size) return undefined
  const all = parts.length === 1 ? head : Buffer.concat(parts)
  return { message: all.subarray(prefixBytes, prefixBytes + size), rest: all.subarray(prefixBytes + size) }
}

const compressed = () => new ServiceError('content_encoding_forbidden', 'a compressed message')

/** The status that stands for what a method threw. */
export function statusOf(error: unknown): GrpcStatus {
  const code = errorCode(error)
  if (code === 'proxy_unauthenticated') return grpcStatus.unauthenticated
  if (code === 'content_encoding_forbidden' || code === 'route_unknown') return grpcStatus.unimplemented
  if (code === 'rate_limited' || code === 'body_too_large') return grpcStatus.resourceExhausted
  const { status, retryable } = errorKinds[code]
  if (status < 500) return grpcStatus.invalidArgument
  return retryable ? grpcStatus.unavailable : grpcStatus.internal
}
