/** The part of `fetch` that an enforcement point needs. A redirect is an answer, and is not followed. A lost connection is a TypeError. */
export type PointFetch = (
  url: string,
  request: {
    readonly method: 'GET' | 'POST'
    readonly redirect: 'manual'
    readonly signal: AbortSignal
    readonly headers: Record<string, string>
    readonly body?: string
  },
) => Promise<PointResponse>

export interface PointResponse {
  readonly status: number
  readonly headers: { get(name: string): string | null }
  readonly body: AsyncIterable<Uint8Array> | null
}

/** The longest answers are permit keys, a kilobyte each with its certificate. */
const longestAnswerBytes = 1_048_576

/** The whole body. Throws if it is too long. */
export async function readBounded({ body }: PointResponse): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body ?? []) {
    length += chunk.length
    if (length > longestAnswerBytes) throw new Error('the answer is too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
