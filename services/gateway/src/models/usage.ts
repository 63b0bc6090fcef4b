import { isObject, type JsonObject } from '@bailiwick/mcp'

/** What a provider counted. `input` includes what it read from its cache or wrote to it. */
export interface Tokens {
  readonly input: number
  readonly cacheRead: number
  readonly cacheWrite: number
  readonly output: number
}

/** The shape of an API. */
export type Api = 'openai' | 'anthropic'

/** The usage that stands in an answer, as its API spells it; undefined if it is not there, or is not what a provider can have counted. */
export function tokensOf(api: Api | 'embeddings', usage: unknown): Tokens | undefined {
  if (!isObject(usage)) return undefined
  if (api === 'embeddings') return ofEmbeddings(usage)
  return api === 'anthropic' ? ofAnthropic(usage) : ofOpenAi(usage)
}

/** Vectors have no tokens, so the input is all that there is. A total that is another number contradicts it. */
function ofEmbeddings({ prompt_tokens, total_tokens = prompt_tokens }: JsonObject): Tokens | undefined {
  const input = prompt_tokens === total_tokens ? count(prompt_tokens) : undefined
  return checked({ input, output: 0, cacheRead: 0, cacheWrite: 0 })
}

function ofOpenAi(usage: JsonObject): Tokens | undefined {
  const isChat = 'prompt_tokens' in usage
  const input = count(isChat ? usage.prompt_tokens : usage.input_tokens)
  const stated = count(isChat ? usage.completion_tokens : usage.output_tokens)
  const output = withReasoning(usage, input, stated)
  const details = isChat ? usage.prompt_tokens_details : usage.input_tokens_details
  const ofOutput = isChat ? usage.completion_tokens_details : usage.output_tokens_details
  const reasoning = isObject(ofOutput) ? count(ofOutput.reasoning_tokens ?? 0) : 0
  if (reasoning === undefined || (output !== undefined && reasoning > output)) return undefined
  const cacheRead = isObject(details) ? count(details.cached_tokens ?? 0) : 0
  return checked({ input, output, cacheRead, cacheWrite: 0 })
}

/**
 * Some providers leave reasoning out of the output, and count it in the total alone. It is billed, so the output is what the total has
 * beyond the input. A total that is less than its parts contradicts itself.
 */
function withReasoning({ total_tokens }: JsonObject, input: number | undefined, output: number | undefined) {
  if (total_tokens === undefined || total_tokens === null || input === undefined || output === undefined) return output
  if (output === 0) return output // every answer has some, so the total is not believed either
  const total = count(total_tokens)
  return total === undefined || total < input + output ? undefined : total - input
}

function ofAnthropic(usage: JsonObject): Tokens | undefined {
  const plain = count(usage.input_tokens)
  const cacheRead = count(usage.cache_read_input_tokens ?? 0)
  const cacheWrite = count(usage.cache_creation_input_tokens ?? 0)
  const output = count(usage.output_tokens)
  // A cache of one hour has no price, and no call may ask for one.
  const { cache_creation: written } = usage
  if (isObject(written) && (written.ephemeral_1h_input_tokens ?? 0) !== 0) return undefined
  if (plain === undefined || cacheRead === undefined || cacheWrite === undefined) return undefined
  return checked({ input: plain + cacheRead + cacheWrite, cacheRead, cacheWrite, output })
}

type Counted = { [K in keyof Tokens]: number | undefined }

function checked({ input, output, cacheRead, cacheWrite }: Counted): Tokens | undefined {
  if (input === undefined || output === undefined || cacheRead === undefined || cacheWrite === undefined)
    return undefined
  // A prompt is never empty, and no cache holds more than the prompt.
  if (input === 0 || cacheRead + cacheWrite > input) return undefined
  return { input, output, cacheRead, cacheWrite }
}

const count = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
