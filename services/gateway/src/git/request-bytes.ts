import type { IncomingMessage } from 'node:http'
import { createGunzip } from 'node:zlib'
import { ServiceError } from '@bailiwick/errors'
import { GatheredBytes } from '@bailiwick/kit'
import type { Refused } from '@bailiwick/relay'
import { deletesOnly, endOfCommands, longestCommands, readPushCommands } from './push-commands.ts'

/**
 * The body of a request as it arrives, unzipped if the client zipped it: what is decided on and what is sent are these bytes. Throws if it is
 * longer than `mostBytes`, zipped wrongly, cut off, or followed by trailers. Leaving it early does not end the connection.
 */
export async function* requestBytes(
  incoming: IncomingMessage,
  { isZipped, mostBytes }: { isZipped: boolean; mostBytes: number },
): AsyncGenerator<Buffer> {
  let length = 0
  try {
    for await (const chunk of isZipped ? unzipped(incoming) : incoming.iterator({ destroyOnReturn: false })) {
      length += chunk.length
      if (length > mostBytes) throw new ServiceError('body_too_large', `more than ${mostBytes} bytes`)
      yield chunk
    }
  } catch (error) {
    if (error instanceof ServiceError) throw error
    throw new ServiceError('request_malformed', 'the body is cut off, or is not what it says')
  }
  if (!incoming.complete) throw new ServiceError('request_malformed', 'the body is cut off')
  if (incoming.rawTrailers.length > 0) throw new ServiceError('trailers_forbidden', 'the body')
}

async function* unzipped(incoming: IncomingMessage): AsyncGenerator<Buffer> {
  const gunzip = createGunzip()
  const cut = () => {
    if (!incoming.complete) gunzip.destroy(new Error('cut off'))
  }
  incoming.once('close', cut)
  try {
    yield* incoming.pipe(gunzip) as AsyncIterable<Buffer>
  } finally {
    incoming.off('close', cut)
    incoming.unpipe(gunzip)
  }
}

/** The whole of it. */
export async function wholeOf(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const gathered = new GatheredBytes()
  for await (const chunk of source) gathered.push(chunk)
  return gathered.bytes()
}

/** A push as it is read: the list of commands, and then the pack, if there is one; or why it goes no further. */
export interface PushBytes {
  readonly commands: Buffer
  readonly pack?: AsyncIterable<Buffer> | undefined
  readonly refused?: Refused
}

/** A request that asks for nothing. */
export const nothing: Buffer = Buffer.from('0000')

/**
 * Reads the commands of a push, and only the first bytes of what follows them: nothing, or a pack (gitformat-pack). What follows commands
 * that are refused is not looked at.
 */
export async function readPushBytes(source: AsyncGenerator<Buffer>): Promise<PushBytes> {
  const held = Buffer.alloc(longestCommands)
  let length = 0
  for (let from = 0; ; ) {
    const { done, value } = await source.next()
    if (done) return refusedWith(malformed('the list of commands is cut off'))
    const taken = value.copy(held, length)
    length += taken
    const found = endOfCommands(held.subarray(0, length), from)
    if ('refused' in found) return refusedWith(found)
    if ('more' in found) {
      if (length === held.length) return refusedWith(malformed('too many commands'))
      from = found.more
      continue
    }
    const commands = Buffer.from(held.subarray(0, found.end))
    const begun = Buffer.concat([held.subarray(found.end, length), value.subarray(taken)])
    return packAfter(commands, begun, source)
  }
}

/** `PACK`, and version 2 or 3. */
const packHeads: ReadonlySet<string> = new Set(['PACK\0\0\0\x02', 'PACK\0\0\0\x03'])

async function packAfter(commands: Buffer, begun: Buffer, source: AsyncGenerator<Buffer>): Promise<PushBytes> {
  const push = commands.equals(nothing) ? undefined : readPushCommands(commands)
  if (push !== undefined && 'refused' in push) return refusedWith(push, commands)
  let first = begun
  while (first.length < 8) {
    const { done, value } = await source.next()
    if (done && first.length === 0) return { commands }
    if (done) break
    first = Buffer.concat([first, value])
  }
  const isExpected = push !== undefined && !deletesOnly(push) && packHeads.has(first.toString('latin1', 0, 8))
  return isExpected
    ? { commands, pack: joined(first, source) }
    : refusedWith(malformed('what follows the commands'), commands)
}

const refusedWith = (refused: Refused, commands: Buffer = nothing): PushBytes => ({ refused, commands })

async function* joined(first: Buffer, source: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  yield first
  yield* source
}

const malformed = (detail: string): Refused => ({ refused: 'git_request_malformed', detail })
