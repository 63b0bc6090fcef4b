import { parseStrictJson } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { redact } from './redact.ts'

/** What the decision lets out of an answer. */
export interface Owed {
  /** Fields whose values may not leave (`answerFieldSchema`). */
  readonly redact: readonly string[]
  /** In bytes; undefined: no limit. */
  readonly mostBytes: number | undefined
  /** In ms from the permit on; what is read more slowly is cut off, so that its outcome is told in time. undefined: whenever it ends. */
  readonly withinMs?: number | undefined
}

export interface Held<R> {
  /** As it may leave. */
  answer: R
  /** undefined: nothing is owed, and nobody measured it. */
  bytes: number | undefined
}

/**
 * Holds an answer to what is owed. It may be a JSON value, a text, bytes, or nothing. Throws `answer_withheld`, never a part: for
 * one that is too long, and one that cannot be read for certain, such as a stream, an object with a class, or binary data.
 */
export function holdAnswer<R>(answer: R, owed: Owed): Held<R> {
  if (owed.redact.length === 0 && owed.mostBytes === undefined) return { answer, bytes: undefined }
  const kept = withholding(() => (answer instanceof Uint8Array ? heldBytes(answer, owed) : heldValue(answer, owed)))
  if (owed.mostBytes !== undefined && kept.bytes > owed.mostBytes) throw withheld('longer than its limit')
  return kept as Held<R>
}

/** Of whatever goes wrong nobody knows what would leave. */
export function withholding<T>(hold: () => T): T {
  try {
    return hold()
  } catch {
    throw withheld('it cannot be read for certain')
  }
}

export const withheld = (detail: string) => new ServiceError('answer_withheld', detail)

/** JSON, as bytes, without these fields. Throws for what is no strict JSON. */
export function redactBytes(bytes: Uint8Array | string, fields: readonly string[]): Buffer {
  return Buffer.from(JSON.stringify(redact(parseStrictJson(bytes), fields)))
}

function heldBytes(bytes: Uint8Array, { redact: fields }: Owed) {
  const answer = fields.length === 0 ? bytes : redactBytes(bytes, fields)
  return { answer, bytes: answer.byteLength }
}

/** A copy: what was measured is what is given, whatever a getter says the next time. */
function heldValue(value: unknown, { redact: fields }: Owed) {
  if (value === undefined) return { answer: value, bytes: 0 }
  if (!isJson(value)) throw new Error('no JSON value')
  if (typeof value === 'string') {
    // Free text has no fields: whether it holds one nobody can say.
    const text = fields.length === 0 ? value : redactBytes(value, fields).toString()
    return { answer: text, bytes: Buffer.byteLength(text) }
  }
  const copy: unknown = JSON.parse(JSON.stringify(value))
  const answer = fields.length === 0 ? copy : redact(copy, fields)
  return { answer, bytes: Buffer.byteLength(JSON.stringify(answer)) }
}

/** No streams, no functions, nothing with a class: what these would show when they are sent, JSON does not say. */
function isJson(value: unknown): boolean {
  if (typeof value !== 'object' || value === null)
    return value === undefined || ['string', 'number', 'boolean', 'object'].includes(typeof value)
  if (Array.isArray(value)) return value.every(isJson)
  const prototype: unknown = Object.getPrototypeOf(value)
  return (prototype === Object.prototype || prototype === null) && Object.values(value).every(isJson)
}
