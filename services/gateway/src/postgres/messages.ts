// The messages of PostgreSQL's protocol 3.0 that the gateway itself sends or reads.

const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
const int16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}
/** A text that ends with a zero byte. */
export const cstring = (text: string): Buffer => {
  if (text.includes('\0')) throw new RangeError('a zero byte in a text')
  return Buffer.from(`${text}\0`)
}

const withLength = (body: Buffer): Buffer => Buffer.concat([int32(body.length + 4), body])
export const messageOf = (type: string, ...parts: Buffer[]): Buffer =>
  Buffer.concat([Buffer.from(type, 'latin1'), withLength(Buffer.concat(parts))])

export const sslRequest = withLength(int32(80_877_103))

/** The start-up of a session, with its parameters. */
export const startupMessage = (parameters: Readonly<Record<string, string>>): Buffer =>
  withLength(
    Buffer.concat([
      int32(196_608),
      ...Object.entries(parameters).flatMap(([name, value]) => [cstring(name), cstring(value)]),
      Buffer.alloc(1),
    ]),
  )

export const saslInitial = (mechanism: string, first: string): Buffer =>
  messageOf('p', cstring(mechanism), withLengthBefore(Buffer.from(first)))
export const saslResponse = (final: string): Buffer => messageOf('p', Buffer.from(final))
const withLengthBefore = (bytes: Buffer): Buffer => Buffer.concat([int32(bytes.length), bytes])

/** Parse, Bind, Execute and Sync of one statement. Its parameters are texts, and never become a part of it. */
export const statementMessages = (sql: string, parameters: readonly string[]): Buffer =>
  Buffer.concat([
    messageOf('P', cstring(''), cstring(sql), int16(0)),
    messageOf(
      'B',
      ...[cstring(''), cstring(''), int16(0), int16(parameters.length)],
      ...parameters.map((each) => withLengthBefore(Buffer.from(each))),
      int16(0),
    ),
    messageOf('E', cstring(''), int32(0)),
    messageOf('S'),
  ])

/** The fields of an ErrorResponse, by their letter: `C` is the code of SQLSTATE, `M` the message. */
export function errorFields(body: Buffer): ReadonlyMap<string, string> {
  const texts = body.toString('utf8').split('\0')
  return new Map(texts.flatMap((text) => (text === '' ? [] : [[text.slice(0, 1), text.slice(1)]])))
}

/** The first value of a DataRow, as text. */
export function firstValue(body: Buffer): string | undefined {
  if (body.length < 6 || body.readInt16BE(0) < 1) return undefined
  const length = body.readInt32BE(2)
  return length < 0 ? undefined : body.toString('utf8', 6, 6 + length)
}
