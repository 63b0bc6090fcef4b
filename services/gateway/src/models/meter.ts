import { ServiceError } from '@bailiwick/errors'
import { GatheredBytes, readStrictJson, readStrictJsonText } from '@bailiwick/kit'
import { isObject, type JsonObject, readEvents } from '@bailiwick/mcp'
import { type Api, type Tokens, tokensOf } from './usage.ts'

export interface MeterOptions {
  /** The API, or that part of one whose answers are vectors. */
  api: Api | 'embeddings'
  /** Whether events that hold nothing but usage are kept from the client, which did not ask for them. */
  hidesUsage: boolean
  /** The most tokens that the call reserved. */
  most: { input: number; output: number }
  /** The most bytes of the answer. */
  mostBytes: number
  /** Called with an answer that is beyond what was reserved: the provider does not keep to the limit that it was given. */
  onBeyond?: () => void
}

/** More tokens than any provider reads or writes in one call: a count beyond it is no count. */
const mostTokens = 100_000_000
/** The longest event, and the longest whole answer that is read for its usage, in bytes. */
const longestEvent = 4 * 1024 * 1024
const longestAnswer = 16 * 1024 * 1024
/** Probabilities are often longer than a double; counts are judged by themselves. */
const loose = { maxDepth: 64, exactNumbers: false }
/** The most events after the one that says that an answer is over: comments, and a second word for it. */
const mostAfter = 8
/** How long the end of an answer may come after the event that says that it is over. */
const endMs = 2000

/**
 * Reads what an answer cost while it flows to the client, unchanged. Counts are believed only if the answer is whole: until then there are
 * none. It states counts beyond what was reserved as they are, so that they are in the evidence. Read `tokens` once the bytes have ended.
 */
export class Meter {
  readonly #options: MeterOptions
  #seen: unknown
  /** The answer said that it is over, and nothing of it came after the usage. */
  #isOver = false
  #isFinal = false
  #isFalse = false
  #bytes = 0

  constructor(options: MeterOptions) {
    this.#options = options
  }

  /** The tokens of the whole answer; undefined if they never came, or cannot be true. */
  get tokens(): Tokens | undefined {
    if (!this.#isOver || !this.#isFinal || this.#isFalse) return undefined
    const { api, most } = this.#options
    const tokens = tokensOf(api, this.#seen)
    if (tokens === undefined || tokens.input > mostTokens || tokens.output > mostTokens) return undefined
    if (tokens.output === 0 && api !== 'embeddings') return undefined // even an answer without words ends with a token
    if (tokens.input > most.input || tokens.output > most.output) this.#beyond()
    return tokens
  }

  /** An answer that comes as a whole. */
  async *whole(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const kept = new GatheredBytes()
    for await (const chunk of body) {
      this.#count(chunk)
      if (this.#bytes <= longestAnswer) kept.push(chunk)
      yield chunk
    }
    if (this.#bytes > longestAnswer) return
    const json = readStrictJson(kept.bytes(), { ...loose, maxBytes: longestAnswer })
    if (!json.ok || !isObject(json.value)) return
    this.#seen = json.value.usage
    this.#isFinal = true
    this.#isOver = true
  }

  /**
   * A stream of events. The event that ends an answer waits for the end of the upstream's: a client that leaves when it has read it then
   * leaves an answer that is over. Throws `stream_cut` when more flows than was reserved.
   */
  async *events(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const events = readEvents(body, longestEvent)[Symbol.asyncIterator]()
    const held: Uint8Array[] = []
    try {
      for (;;) {
        const next = await (held.length === 0 ? events.next() : within(events.next()))
        if (next === undefined || next.done) break
        const { raw, data } = next.value
        this.#count(raw)
        const kind = data === undefined ? 'other' : this.#read(data)
        if (kind === 'last') this.#isOver = true
        // After its end an answer says nothing more.
        if (held.length > mostAfter) this.#isFalse = true
        if (this.#isFalse && held.length > 0) break
        if (kind === 'last' || held.length > 0) held.push(raw)
        else if (kind !== 'hidden') yield raw
      }
    } finally {
      void events.return?.(undefined).catch(() => undefined)
    }
    yield* held
  }

  #count(chunk: Uint8Array): void {
    this.#bytes += chunk.length
    if (this.#bytes > this.#options.mostBytes) throw this.#overLimit()
  }

  #read(data: string): 'last' | 'hidden' | 'other' {
    if (data === '[DONE]') return 'last'
    const json = readStrictJsonText(data, { ...loose, maxBytes: longestEvent })
    if (!json.ok || !isObject(json.value)) return 'other'
    const event = json.value
    return this.#options.api === 'anthropic' ? this.#anthropic(event) : this.#openai(event)
  }

  #openai(event: JsonObject): 'last' | 'hidden' | 'other' {
    if (Array.isArray(event.choices)) return this.#chat(event, event.choices)
    const { type, response } = event
    if (type !== 'response.completed' && type !== 'response.incomplete' && type !== 'response.failed') return 'other'
    this.#state(isObject(response) ? response.usage : undefined)
    this.#isFinal = true
    return 'last'
  }

  #chat({ usage }: JsonObject, choices: readonly unknown[]): 'hidden' | 'other' {
    const isUsage = usage !== undefined && usage !== null
    if (isUsage) this.#state(usage)
    // What comes after the usage is not counted in it.
    if (isUsage || choices.length > 0) this.#isFinal = isUsage
    return isUsage && choices.length === 0 && this.#options.hidesUsage ? 'hidden' : 'other'
  }

  #anthropic({ type, message, usage }: JsonObject): 'last' | 'other' {
    if (type === 'message_start' && isObject(message)) this.#state(message.usage)
    if (type === 'message_delta') this.#state(usage)
    if (type !== 'message_stop') return 'other'
    this.#isFinal = true
    return 'last'
  }

  /** Later counts stand for earlier ones, member by member. Counts that become less contradict themselves. */
  #state(usage: unknown): void {
    if (!isObject(usage)) return
    const before = isObject(this.#seen) ? this.#seen : {}
    for (const [name, value] of Object.entries(usage)) {
      const known = before[name]
      if (typeof known === 'number' && (typeof value !== 'number' || value < known)) this.#isFalse = true
    }
    this.#seen = { ...before, ...Object.fromEntries(Object.entries(usage).filter(([, value]) => value !== null)) }
    const output = [usage.output_tokens, usage.completion_tokens].find((each) => each !== undefined)
    if (typeof output === 'number' && output > this.#options.most.output) throw this.#overLimit()
  }

  #overLimit(): ServiceError {
    this.#beyond()
    return new ServiceError('stream_cut', 'model_output_over_limit')
  }

  #beyond(): void {
    this.#options.onBeyond?.()
  }
}

/** What comes in time; undefined if nothing does. */
async function within<T>(next: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), endMs)
  })
  // The answer was over before: how its connection ends changes nothing.
  const ended = next.catch(() => undefined)
  return Promise.race([ended, late]).finally(() => clearTimeout(timer))
}
