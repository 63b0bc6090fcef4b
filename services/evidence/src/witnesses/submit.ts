import { ServiceError } from '@bailiwick/errors'
import {
  consistencyProof,
  encodeAddCheckpoint,
  type NoteSignature,
  openNote,
  type PolicyParty,
  parseNote,
  type TileReader,
} from '@bailiwick/tlog'
import type { Published } from '../log/log.ts'

/** The result of a submission to a witness. */
export type Submitted =
  /** Verified cosignatures by the witness's key. */
  | { readonly outcome: 'cosigned'; readonly signatures: readonly NoteSignature[] }
  /** The witness says that it cosigned a larger tree than this log has: the log was rolled back, or the witness is wrong. */
  | { readonly outcome: 'ahead'; readonly size: number }
  /** The witness refuses to cosign, with a 4xx of the standard. With 422, or 409 without a size, it has another history of this log. */
  | { readonly outcome: 'refused'; readonly status: number }
  /** A later attempt may succeed. */
  | { readonly outcome: 'failed'; readonly why: string }

export interface WitnessOptions {
  party: PolicyParty & { readonly url: string }
  /** The witness's display name, for when the name of its key is not unique. */
  name?: string
  /** The log's tiles. */
  read: TileReader
  deadlineMs?: number
  fetch?: typeof fetch
}

/** A submission has 63 hashes and a checkpoint with only the log's signature, which is far below this limit. */
const longestSubmission = 10 * 1024
const longestAnswer = 64 * 1024
/** The first attempt shows which tree the witness has, the second submits, and the third helps if another submission came in between. */
const attempts = 3

/** One witness as its log sees it (C2SP tlog-witness, add-checkpoint). */
export class WitnessClient {
  readonly #options: WitnessOptions
  /** The size that the witness presumably cosigned last. Its answers correct this. */
  #oldSize = 0

  constructor(options: WitnessOptions) {
    this.#options = options
  }

  get name(): string {
    return this.#options.name ?? this.#options.party.key.name
  }

  /** Asks for a cosignature of a checkpoint with only the log's signature. Never rejects, and ends by its deadline. */
  async submit(checkpoint: Published, stop: AbortSignal): Promise<Submitted> {
    try {
      const deadline = AbortSignal.timeout(this.#options.deadlineMs ?? 5000)
      return await this.#submit(checkpoint, AbortSignal.any([stop, deadline]))
    } catch (error) {
      return { outcome: 'failed', why: error instanceof Error ? error.name : 'unknown' }
    }
  }

  async #submit(checkpoint: Published, late: AbortSignal): Promise<Submitted> {
    for (let attempt = 0; attempt < attempts; attempt++) {
      const oldSize = this.#oldSize
      if (oldSize > checkpoint.size) return { outcome: 'ahead', size: oldSize }
      const { status, type, body } = await this.#post(await this.#body(checkpoint, oldSize), late)
      if (status === 200) {
        const signatures = this.#cosignatures(checkpoint.note, body)
        if (signatures === undefined) return { outcome: 'failed', why: 'cosignature_invalid' }
        this.#oldSize = checkpoint.size
        return { outcome: 'cosigned', signatures }
      }
      const size = status === 409 && type === 'text/x.tlog.size' ? sizeIn(body) : undefined
      if (size === undefined || size === oldSize)
        return status >= 400 && status < 500 && status !== 429
          ? { outcome: 'refused', status }
          : { outcome: 'failed', why: `status ${status}` }
      // Never remember a size beyond the log: one false answer would silence the witness until the log has grown that far.
      if (size > checkpoint.size) return { outcome: 'ahead', size }
      this.#oldSize = size
    }
    return { outcome: 'failed', why: 'it keeps naming another size' }
  }

  async #body({ size, note }: Published, oldSize: number): Promise<Uint8Array> {
    const proof = await consistencyProof(this.#options.read, oldSize, size)
    const body = encodeAddCheckpoint({ oldSize, proof, checkpoint: note })
    if (body.length > longestSubmission) throw new ServiceError('invariant_broken', 'a submission is over 10 KiB')
    return body
  }

  async #post(body: Uint8Array, signal: AbortSignal) {
    const { party, fetch: send = fetch } = this.#options
    const url = new URL('add-checkpoint', party.url.endsWith('/') ? party.url : `${party.url}/`)
    const answer = await send(url, {
      method: 'POST',
      body: Buffer.from(body),
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      redirect: 'error',
      signal,
    })
    const parts: Uint8Array[] = []
    let length = 0
    for await (const part of answer.body ?? []) {
      length += part.length
      if (length > longestAnswer) throw new RangeError('the answer is too long')
      parts.push(part)
    }
    // Without parameters, which some servers add to every text (RFC 9110 §8.3.1: case does not matter either).
    const [type = ''] = (answer.headers.get('content-type') ?? '').split(';')
    return { status: answer.status, type: type.trim().toLowerCase(), body: Buffer.concat(parts) }
  }

  /**
   * A signature line by the witness's own key; undefined if there is none. Every line by that key must be valid; lines by other keys are
   * ignored. One line is enough: a note holds 100, and a witness that sends as many would leave no room for other witnesses.
   */
  #cosignatures(note: string, lines: Uint8Array): NoteSignature[] | undefined {
    const { key } = this.#options.party
    const whole = Buffer.concat([Buffer.from(note), lines])
    const opened = openNote(whole, [key])
    if (!opened.ok || opened.signers.some(({ timestamp }) => timestamp === 0)) return undefined
    return parseNote(whole)
      ?.signatures.filter(({ name, keyId }) => name === key.name && keyId === key.keyId)
      .slice(0, 1)
  }
}

function sizeIn(body: Uint8Array): number | undefined {
  const [, digits] = /^(0|[1-9][0-9]{0,15})\n$/.exec(Buffer.from(body).toString('latin1')) ?? []
  const size = digits === undefined ? undefined : Number(digits)
  return Number.isSafeInteger(size) ? size : undefined
}
