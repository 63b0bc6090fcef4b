import { ServiceError } from '@bailiwick/errors'

/** How long an authority may take for its complete answer. */
export const answerWithinMs = 5000
/** The longest answer that is read. */
export const maxAnswerBytes = 1_048_576

export type Fetch = typeof globalThis.fetch

/**
 * Reads a document of an authority over https, with the platform's own trust in certificates. A redirect is refused: it would let the
 * server that answers there choose the authority. Throws `attestation_unavailable` for every outcome other than a 200 with at most 1 MiB
 * within 5 s.
 */
export async function fetchBytes(url: string, fetch: Fetch): Promise<Uint8Array> {
  if (!url.startsWith('https://')) throw new ServiceError('attestation_unavailable', 'not an https address')
  try {
    const signal = AbortSignal.timeout(answerWithinMs)
    const answer = await fetch(url, { redirect: 'error', signal, headers: { accept: 'application/json' } })
    if (answer.status !== 200) throw new Error(`it answers ${answer.status}`)
    return await bounded(answer.body)
  } catch (cause) {
    throw new ServiceError('attestation_unavailable', 'the keys of the authority could not be fetched', { cause })
  }
}

/** Counts the bytes that arrive instead of trusting a header, because the server can state any length. */
async function bounded(body: ReadableStream<Uint8Array> | null): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of body ?? []) {
    length += part.length
    if (length > maxAnswerBytes) throw new Error('the answer is too long')
    parts.push(part)
  }
  return Buffer.concat(parts)
}
