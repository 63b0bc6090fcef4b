import { ServiceError } from '@bailiwick/errors'
import { bodyOf } from '../body.ts'

/** Whether a secret is long enough to be looked for: a shorter text would often be found by chance. */
const isFindable = (secret: string): boolean => secret.length >= 8

/**
 * For a WebSocket: so few bytes tell nothing of a secret, and pass at once. A message often ends like a secret begins, and its last byte must
 * not wait for the next message, which may be the answer to it.
 */
export const fewBytes = 3

/** Lets bytes pass until one of the secrets is in them, as written, as JSON, a URL or HTML writes it, or in base64. */
export class SecretScreen {
  readonly #hidden: readonly Buffer[]
  /** The last bytes, if they may be the beginning of a secret. */
  #held: Uint8Array = Buffer.alloc(0)
  /** How many of them have passed. */
  #passed = 0

  readonly #mostPassed: number

  /** `mostPassed`: so many bytes that may be the beginning of a secret are not held back. */
  constructor(secrets: readonly string[], mostPassed = 0) {
    this.#hidden = spellingsOf(secrets)
    this.#mostPassed = mostPassed
  }

  get hidesNothing(): boolean {
    return this.#hidden.length === 0
  }

  /** The bytes that may pass now; undefined if a secret is in them, whose last byte did not pass. */
  pass(bytes: Uint8Array): Uint8Array | undefined {
    const known = Buffer.concat([this.#held, bytes])
    if (this.#hidden.some((secret) => known.includes(secret))) return undefined
    const keep = longestBeginning(known, this.#hidden)
    const start = known.length - keep
    const end = Math.max(this.#passed, keep <= this.#mostPassed ? known.length : start)
    const shown = known.subarray(this.#passed, end)
    this.#held = known.subarray(start)
    this.#passed = end - start
    return shown
  }

  /** What was held back, once no byte will come. */
  rest(): Uint8Array {
    return this.#held.subarray(this.#passed)
  }
}

/**
 * Passes an answer on unless it contains one of the secrets that were sent with the request (`SecretScreen`): then it throws
 * `answer_withheld` before the last byte of the secret is passed on.
 */
export function withoutSecrets(
  body: AsyncIterable<Uint8Array>,
  secrets: readonly string[],
  mostPassed = 0,
): AsyncIterableIterator<Uint8Array> {
  const screen = new SecretScreen(secrets, mostPassed)
  const source = body[Symbol.asyncIterator]()
  let isOver = false
  const next = async (): Promise<IteratorResult<Uint8Array>> => {
    while (!isOver) {
      const { done, value } = await source.next()
      isOver = done === true
      const shown = done ? screen.rest() : screen.pass(value)
      if (shown === undefined) {
        await source.return?.()
        throw new ServiceError('answer_withheld', 'the answer contains a secret of the upstream')
      }
      if (shown.length > 0) return { done: false, value: shown }
    }
    return { done: true, value: undefined }
  }
  return screen.hidesNothing ? (source as AsyncIterableIterator<Uint8Array>) : bodyOf(next, () => source.return?.())
}

/** Whether a header field holds one of the secrets, in any of these spellings. A short one is looked for as written. */
export const holdsSecret = (text: string, secrets: readonly string[]): boolean =>
  secrets.some((secret) => secret !== '' && text.includes(secret)) ||
  spellingsOf(secrets).some((spelling) => text.includes(spelling.toString('latin1')))

const spellingsOf = (secrets: readonly string[]): Buffer[] =>
  secrets
    .filter(isFindable)
    .flatMap((secret) => [
      ...[...new Set([secret, ...jsonOf(secret), ...urlOf(secret), ...htmlOf(secret)])].map((text) =>
        Buffer.from(text),
      ),
      ...base64Of(secret),
    ])

/** What writers of JSON escape by number: .NET, Gson, and two that some add. */
const escapedInJson = [/[+&<>'`]/g, /[&<>=']/g, /[/+]/g, /[/+=]/g]

/** As JavaScript writes JSON, as PHP does (`\/`), and as those do who escape more. */
function jsonOf(secret: string): string[] {
  const plain = JSON.stringify(secret).slice(1, -1)
  const escaped = escapedInJson.flatMap((signs) => {
    const text = plain.replace(signs, (sign) => `\\u00${sign.charCodeAt(0).toString(16)}`)
    return [text, text.replace(/\\u00../g, (each) => `\\u${each.slice(2).toUpperCase()}`)]
  })
  return [plain, plain.replaceAll('/', '\\/'), ...escaped]
}

/** With escapes in capitals and in small letters. */
function urlOf(secret: string): string[] {
  const text = encodeURIComponent(secret)
  return [text, text.replace(/%[0-9A-F]{2}/g, (each) => each.toLowerCase())]
}

/** With numbers in place of all signs, or of the plus alone, as .NET writes it. */
const htmlOf = (secret: string): string[] => [
  secret.replace(/[+/=&<>'"]/g, (sign) => `&#${sign.charCodeAt(0)};`),
  secret.replaceAll('+', '&#43;'),
  secret.replaceAll('+', '&#x2B;'),
]

/** How many bytes at the end may be the beginning of a secret. */
function longestBeginning(bytes: Buffer, hidden: readonly Buffer[]): number {
  let longest = 0
  for (const secret of hidden)
    for (let length = Math.min(secret.length - 1, bytes.length); length > longest; length--)
      if (bytes.subarray(bytes.length - length).equals(secret.subarray(0, length))) longest = length
  return longest
}

/** For each of the three alignments in base64, the part that does not depend on the surrounding bytes. */
function base64Of(secret: string): Buffer[] {
  return [0, 1, 2].map((before) => {
    const text = Buffer.from(`${' '.repeat(before)}${secret}`).toString('base64')
    return Buffer.from(text.slice(Math.ceil((before * 4) / 3), Math.floor(((before + secret.length) * 8) / 6)))
  })
}
