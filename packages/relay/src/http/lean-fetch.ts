import type { PointFetch } from '@bailiwick/pep'
import { request } from 'undici'

/** For a point that asks at every call: it costs a third of `fetch`, and uses the same connections and proxies. */
export const leanFetch: PointFetch = async (url, { method, headers, body, signal }) => {
  try {
    const {
      statusCode,
      headers: fields,
      body: parts,
    } = await request(url, { method, headers, signal, body: body ?? null })
    return { status: statusCode, headers: { get: (name) => fieldIn(fields[name]) }, body: read(parts, signal) }
  } catch (error) {
    throw lost(error, signal)
  }
}

async function* read(parts: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  try {
    yield* parts
  } catch (error) {
    throw lost(error, signal)
  }
}

const lost = (cause: unknown, { aborted, reason }: AbortSignal): unknown =>
  aborted ? reason : new TypeError('the connection was lost', { cause })

const fieldIn = (value: string | string[] | undefined): string | null =>
  value === undefined ? null : [value].flat().join(', ')
