import { withResolvers } from '@bailiwick/kit'
import type { PointFetch } from '@bailiwick/pep'
import { request } from 'undici'

/** For a point that asks at every call: it costs a third of `fetch`, and uses the same connections and proxies. */
export const leanFetch: PointFetch = async (url, { method, headers, body, signal }) => {
  signal.throwIfAborted()
  // Node's own dispatcher, which serves the whole process, hears the signal only once it has a connection.
  const late = withResolvers<never>()
  const abort = () => late.reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    const asked = request(url, { method, headers, signal, body: body ?? null })
    const { statusCode, headers: fields, body: parts } = await Promise.race([asked, late.promise])
    return { status: statusCode, headers: { get: (name) => fieldIn(fields[name]) }, body: read(parts, signal) }
  } catch (error) {
    throw lost(error, signal)
  } finally {
    signal.removeEventListener('abort', abort)
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
