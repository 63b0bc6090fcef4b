import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2'
import { field, integerField, Message } from '@bailiwick/gateway/protobuf'

export const checkPath = '/envoy.service.auth.v3.Authorization/Check'
export const logPath = '/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs'

/** What came back: the code of gRPC, and the messages. Undefined: the connection or the stream was cut. */
export interface GrpcAnswer {
  status: number | undefined
  messages: Buffer[]
}

type Metadata = Record<string, string | string[]>

/** A caller of gRPC by hand: what it sends is bytes, right or wrong. */
export class GrpcClient implements AsyncDisposable {
  readonly #session: ClientHttp2Session

  constructor(url: string) {
    this.#session = connect(url)
    this.#session.on('error', () => undefined)
  }

  open(path: string, metadata: Metadata = {}): ClientHttp2Stream {
    const stream = this.#session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...metadata,
    })
    stream.on('error', () => undefined)
    return stream
  }

  /** Sends these bytes, and ends the request. */
  call(path: string, metadata: Metadata, ...bytes: Uint8Array[]): Promise<GrpcAnswer> {
    const stream = this.open(path, metadata)
    const answer = answerOf(stream)
    for (const each of bytes) stream.write(each)
    stream.end()
    return answer
  }

  get isClosed(): boolean {
    return this.#session.destroyed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#session.destroy()
  }
}

export async function answerOf(stream: ClientHttp2Stream): Promise<GrpcAnswer> {
  let status: number | undefined
  const read = (headers: Record<string, unknown>) => {
    if (headers['grpc-status'] !== undefined) status = Number(headers['grpc-status'])
  }
  stream.on('response', read).on('trailers', read)
  const parts: Buffer[] = []
  stream.on('data', (part: Buffer) => parts.push(part))
  await new Promise<void>((resolve) => {
    stream.once('end', resolve)
    stream.once('close', resolve)
  })
  stream.destroy()
  const messages: Buffer[] = []
  for (let rest = Buffer.concat(parts); rest.length >= 5; ) {
    const end = 5 + rest.readUInt32BE(1)
    messages.push(rest.subarray(5, end))
    rest = rest.subarray(end)
  }
  return { status, messages }
}

/** A message with its prefix. */
export function framed(message: Uint8Array, flag = 0, length = message.length): Buffer {
  const prefix = Buffer.alloc(5)
  prefix.writeUInt8(flag)
  prefix.writeUInt32BE(length, 1)
  return Buffer.concat([prefix, message])
}

/** What Envoy says of a request in a `CheckRequest`, with `encode_raw_headers` and `pack_as_bytes`. */
export interface Shown {
  method: string
  path: string
  host: string
  /** Whole lines, in order. */
  fields: readonly string[]
  body?: string | undefined
  /** Fields of `HttpRequest` beside them, as bytes. */
  more?: Uint8Array
}

export const headerValue = (name: string, value: string): Buffer =>
  field(1, field(1, Buffer.from(name, 'latin1')), ...(value === '' ? [] : [field(3, Buffer.from(value, 'latin1'))]))

export function checkRequest({ method, path, host, fields, body, more = Buffer.alloc(0) }: Shown): Buffer {
  const lines = [`:authority: ${host}`, `:path: ${path}`, `:method: ${method}`, ':scheme: http', ...fields]
  const headers = lines.map((line) => {
    const end = line.indexOf(':', 1)
    return headerValue(line.slice(0, end).toLowerCase(), line.slice(end + 1).trim())
  })
  return ofHttp(
    field(2, method),
    field(4, path),
    field(5, host),
    field(10, 'HTTP/1.1'),
    ...(body === undefined ? [] : [field(12, body)]),
    field(13, ...headers),
    more,
  )
}

/** A `CheckRequest` with these fields of `AttributeContext.HttpRequest`. */
export const ofHttp = (...fields: Uint8Array[]): Buffer => field(1, field(4, field(2, ...fields)))

/** What a `CheckResponse` says. */
export function readCheck(bytes: Uint8Array) {
  const response = new Message(bytes, [1, 2, 3, 4])
  const isOk = response.message(1, [1])?.integer(1) === 0n
  const denied = response.message(2, [1, 2, 3])
  const ok = response.message(3, [2, 5])
  const fields = ((denied ?? ok)?.all(2) ?? []).map((bytes) => {
    const header = new Message(bytes, [1]).message(1, [1, 2])
    return `${header?.text(1)}: ${header?.text(2)}`
  })
  const [member] = response.message(4, [1])?.all(1) ?? []
  return {
    status: isOk ? 200 : Number(denied?.message(1, [1])?.integer(1) ?? 0n),
    fields,
    body: denied?.text(3) ?? '',
    removed: (ok?.all(5) ?? []).map((bytes) => Buffer.from(bytes).toString()),
    mark: member && new Message(member, [2]).message(2, [3])?.text(3),
  }
}

/** What Envoy logs of one request. */
export interface LogEntry {
  mark?: string | undefined
  status?: number
  bytes?: number
  /** `AccessLogType`; the end of a request unless it says otherwise. */
  type?: number
  attempts?: number
  flags?: Uint8Array
}

export function logEntry({ mark, status = 200, bytes = 12, type = 6, attempts = 1, flags }: LogEntry): Buffer {
  const struct = mark === undefined ? undefined : field(1, field(1, 'bailiwick-log'), field(2, field(3, mark)))
  const metadata =
    struct === undefined ? [] : [field(17, field(1, field(1, 'envoy.filters.http.ext_authz'), field(2, struct)))]
  return Buffer.concat([
    field(
      1,
      ...(flags === undefined ? [] : [field(16, flags)]),
      ...metadata,
      integerField(24, attempts),
      integerField(33, type),
    ),
    field(4, field(1, integerField(1, status)), integerField(3, bytes)),
  ])
}

/** A `StreamAccessLogsMessage`. */
export const logMessage = (...entries: Uint8Array[]): Buffer => field(2, ...entries.map((entry) => field(1, entry)))
