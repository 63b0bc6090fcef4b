import { parseStrictJson } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { redact } from './redact.ts'

/** The limits that the decision puts on an answer. */
export interface Owed {
  /** Fields whose values may not leave (`answerFieldSchema`). */
  readonly redact: readonly string[]
  /** In bytes; undefined: no limit. */
  readonly mostBytes: number | undefined
  /**
   * In ms from the permit on; undefined: no limit. A slower reader is cut off, so that the outcome is reported in time. This does not abort
   * the signal of the call.
   */
  readonly withinMs?: number | undefined
}

export interface Held<R> {
  /** The answer in the form in which it may leave. */
  answer: R
  /** undefined: nothing is owed, so it was not measured. */
  bytes: number | undefined
}

/**
 * Checks an answer against what is owed. It may be a JSON value, a text, bytes, or nothing. Throws `answer_withheld`, and never returns a
 * part. It throws for an answer that is too long, and for one that cannot be read reliably, such as a stream, an object with a class, or
 * binary data.
 */
export function holdAnswer<R>(answer: R, owed: Owed): Held<R> {
  if (owed.redact.length === 0 && owed.mostBytes === undefined) return { answer, bytes: undefined }
  const kept = withholding(() => (answer instanceof Uint8Array ? heldBytes(answer, owed) : heldValue(answer, owed)))
  if (owed.mostBytes !== undefined && kept.bytes > owed.mostBytes) throw withheld('longer than its limit')
  return kept as Held<R>
}

/** After an unexpected error it is unknown what would leave, so the answer is withheld. */
export function withholding<T>(hold: () => T): T {
  try {
    return hold()
  } catch {
    throw withheld('it cannot be read for certain')
  }
}

export const withheld = (detail: string) => new ServiceError('answer_withheld', detail)

/** JSON, as bytes, without these fields. Throws for input that is not strict JSON. */
export function redactBytes(bytes: Uint8Array | string, fields: readonly string[]): Buffer {
  return Buffer.from(JSON.stringify(redact(parseStrictJson(bytes), fields)))
}

function heldBytes(bytes: Uint8Array, { redact: fields }: Owed) {
  const answer = fields.length === 0 ? bytes : redactBytes(bytes, fields)
  return { answer, bytes: answer.byteLength }
}

/** A copy: the measured value is the returned value, even if a getter returns another one the next time. */
function heldValue(value: unknown, { redact: fields }: Owed) {
  if (value === undefined) return { answer: value, bytes: 0 }
  if (!isJson(value)) throw new Error('no JSON value')
  if (typeof value === 'string') {
    // Free text has no fields, so it cannot be checked for one.
    const text = fields.length === 0 ? value : redactBytes(value, fields).toString()
    return { answer: text, bytes: Buffer.byteLength(text) }
  }
  const copy: unknown = JSON.parse(JSON.stringify(value))
  const answer = fields.length === 0 ? copy : redact(copy, fields)
  return { answer, bytes: Buffer.byteLength(JSON.stringify(answer)) }
}

/** No streams, functions or objects with a class: JSON does not show what these would contain when they are sent. */
export function isJson(value: unknown): boolean {
  if (typeof value !== 'object' || value === null)
    return value === undefined || ['string', 'number', 'boolean', 'object'].includes(typeof value)
  if (Array.isArray(value)) return value.every(isJson)
  const prototype: unknown = Object.getPrototypeOf(value)
  return (prototype === Object.prototype || prototype === null) && Object.values(value).every(isJson)
}
