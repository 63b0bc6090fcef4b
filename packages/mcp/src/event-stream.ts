import { ServiceError } from '@bailiwick/errors'

/** One event of a `text/event-stream`, with the bytes that it came in. */
export interface StreamEvent {
  readonly raw: Uint8Array
  /** The joined `data` lines; undefined if there is none, as in a comment or a priming event. */
  readonly data: string | undefined
}

const carriageReturn = 13
const lineFeed = 10

/**
 * Cuts a stream into its events as they arrive (HTML, "Server-sent events"). Each event comes with its exact bytes, so that it can be
 * passed on untouched, or not at all. An event without its final blank line is left out, because clients ignore it. Throws
 * `upstream_too_large` for an event over the limit.
 */
export async function* readEvents(body: AsyncIterable<Uint8Array>, mostBytes: number): AsyncGenerator<StreamEvent> {
  const ends = new EventEnds()
  let kept: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body) {
    let from = 0
    for (const end of ends.in(chunk)) {
      yield eventOf(Buffer.concat([...kept, chunk.subarray(from, end)]))
      kept = []
      bytes = 0
      from = end
    }
    if (from === chunk.length) continue
    kept.push(chunk.subarray(from))
    bytes += chunk.length - from
    if (bytes > mostBytes) throw new ServiceError('upstream_too_large', 'an event of the stream')
  }
}

/** The event with another text in it. Its id stays, for a client that resumes the stream. */
export function eventWith({ raw }: StreamEvent, data: string): Uint8Array {
  const lines = Buffer.from(raw)
    .toString('utf8')
    .split(/\r\n|\n|\r/)
  const others = lines.filter((line) => line !== '' && !/^data(:|$)/.test(line))
  return Buffer.from([...others, ...data.split('\n').map((line) => `data: ${line}`), '', ''].join('\n'))
}

/** Finds the blank lines that end events, in chunks that may be cut anywhere. A line ends with LF, CR, or both. */
class EventEnds {
  #lineLength = 0
  /** The last byte was a CR, which may be half of a line end. */
  #afterReturn: 'line' | 'event' | undefined

  /** The indexes just after the ends, in order. */
  in(chunk: Uint8Array): number[] {
    const ends: number[] = []
    for (const [at, byte] of chunk.entries()) {
      const after = this.#afterReturn
      this.#afterReturn = undefined
      if (after === 'event') ends.push(byte === lineFeed ? at + 1 : at)
      if (after !== undefined && byte === lineFeed) continue
      if (byte === carriageReturn) this.#afterReturn = this.#lineLength === 0 ? 'event' : 'line'
      else if (byte === lineFeed && this.#lineLength === 0) ends.push(at + 1)
      this.#lineLength = byte === lineFeed || byte === carriageReturn ? 0 : this.#lineLength + 1
    }
    return ends
  }
}

function eventOf(raw: Buffer): StreamEvent {
  const lines = raw
    .toString('utf8')
    .replace(/^\ufeff/, '')
    .split(/\r\n|\n|\r/)
  const data = lines.flatMap((line) => {
    const [, name, value = ''] = /^([^:]*)(?::\x20?(.*))?$/s.exec(line) ?? []
    return name === 'data' ? [value] : []
  })
  return { raw: Uint8Array.from(raw), data: data.length === 0 ? undefined : data.join('\n') }
}
