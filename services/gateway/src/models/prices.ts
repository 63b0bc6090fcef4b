import { jcs, sha256 } from '@bailiwick/credentials'
import { z } from 'zod'
import type { Tokens } from './usage.ts'

/** Money in micros (10^-6 of the currency's unit), always a bigint: nothing here is ever a float. */
export type Micros = bigint

const money = z
  .string()
  .regex(/^(0|[1-9]\d{0,8})(\.\d{1,6})?$/, 'expected an amount such as "2.50", with at most 6 decimal places')
const tokenCount = z.int().min(1).max(100_000_000)

const labels = z
  .array(z.string().regex(/^[a-z][a-z0-9_-]{0,63}$/))
  .max(32)
  .default([])

const writingSchema = z.strictObject({
  embeddings: z.undefined().optional(),
  /** The price of a million tokens: the dearest tier that a call can reach, since a call's tier is known only afterwards. */
  input: money,
  output: money,
  /** Of tokens that the provider read from, or wrote to, its cache; `input` if left out. Without `cache_write`, a call cannot ask for a cache. */
  cache_read: money.optional(),
  cache_write: money.optional(),
  /** The most tokens of one answer. */
  most_output: tokenCount,
  /** The limit of a call that states none; `most_output` if left out. */
  default_output: tokenCount.optional(),
  /** The most tokens that one image counts as. Without it, a call may have no image. */
  image_tokens: tokenCount.optional(),
  /**
   * The most that a tool, a file or an image beyond the model adds to one call, its tokens included, by its kind, such as `web_search`. What
   * is not named is refused.
   */
  outside: z.record(z.string().regex(/^[a-z][a-z0-9_]{0,63}$/), money).default({}),
  /** The member in which a call of `/v1/chat/completions` is given the limit that it does not state. */
  output_member: z.enum(['max_completion_tokens', 'max_tokens']).default('max_completion_tokens'),
  /** What the registry's entry says of the model. */
  labels,
})

/** A model that makes vectors, at `/v1/embeddings` alone. It has no output that costs. */
const embeddingSchema = z.strictObject({ embeddings: z.literal(true), input: money, labels })

const modelSchema = z.discriminatedUnion('embeddings', [writingSchema, embeddingSchema])

/** A table of prices. It changes like a rule: people sign its hash as the manifest of the server. */
export const pricesSchema = z.strictObject({
  version: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, 'expected a version such as 2026-11-01'),
  currency: z.string().regex(/^[A-Z]{3}$/, 'expected a currency such as USD'),
  /** Statuses with which the provider says that it charges nothing. Some charge for 400, when a filter read the prompt. */
  not_charged: z.array(z.int().min(400).max(499)).max(32).default([401, 403, 404, 405, 413, 415, 429]),
  models: z
    .record(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$/, 'expected the name of a model'), modelSchema)
    .refine((models) => Object.keys(models).length > 0, 'expected at least one model'),
})

export type Prices = z.output<typeof pricesSchema>
/** What the calls of a model cost. The members that a model for vectors does not have stand for nothing. */
export type ModelPrice = Omit<z.output<typeof writingSchema>, 'embeddings'> & { embeddings?: true | undefined }

/** The price of a model; undefined for one that is not in the table. */
export function priceOf({ models }: Prices, name: string): ModelPrice | undefined {
  const price = Object.hasOwn(models, name) ? models[name] : undefined
  if (!price?.embeddings) return price
  return { ...price, output: '0', most_output: 1, outside: {}, output_member: 'max_tokens' }
}

const million = 1_000_000n

/** The micros of an amount that the schema accepted. */
export function microsOf(amount: string): Micros {
  const [whole = '0', fraction = ''] = amount.split('.')
  return BigInt(whole) * million + BigInt(fraction.padEnd(6, '0'))
}

/** The shortest text of an amount. */
export function spellMicros(micros: Micros): string {
  const fraction = String(micros % million)
    .padStart(6, '0')
    .replace(/0+$/, '')
  return `${micros / million}${fraction === '' ? '' : `.${fraction}`}`
}

/** A part of a micro is a whole one: rounding never favours the caller. */
const perMillion = (sum: bigint): Micros => (sum + million - 1n) / million

/** What a call can cost at most: it may use a cache or not, so its input counts at the dearest of these prices. */
export interface Bound {
  /** The most tokens that the provider can read. */
  input: number
  /** What uses beyond the model cost. */
  outside: Micros
}

const inputPrice = ({ input, cache_read = input, cache_write = input }: ModelPrice): Micros => {
  const [first, ...others] = [input, cache_read, cache_write].map(microsOf) as [Micros, ...Micros[]]
  let most = first
  for (const each of others) if (each > most) most = each
  return most
}

/** The most that a call with this many tokens of output can cost. */
export function mostCost(price: ModelPrice, { input, outside }: Bound, output: number): Micros {
  return perMillion(BigInt(input) * inputPrice(price) + BigInt(output) * microsOf(price.output)) + outside
}

/** The most tokens of output for which a call costs no more than what is left; less than 0 if its input alone costs more. */
export function affordable(price: ModelPrice, { input, outside }: Bound, left: Micros): number {
  const rest = (left - outside) * million - BigInt(input) * inputPrice(price)
  if (rest < 0n) return -1
  const each = microsOf(price.output)
  if (each === 0n) return Number.MAX_SAFE_INTEGER
  const tokens = rest / each
  return tokens > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(tokens)
}

/** What a call cost by the tokens that the provider counted. */
export function costOf(price: ModelPrice, { input, cacheRead, cacheWrite, output }: Tokens, outside: Micros): Micros {
  const { cache_read = price.input, cache_write = price.input } = price
  const plain = BigInt(input - cacheRead - cacheWrite) * microsOf(price.input)
  const cached = BigInt(cacheRead) * microsOf(cache_read) + BigInt(cacheWrite) * microsOf(cache_write)
  return perMillion(plain + cached + BigInt(output) * microsOf(price.output)) + outside
}

/**
 * The value of `manifest` in the registry for a provider: base64url SHA-256 of the JCS array of a domain, its address, its kind, the betas
 * that may change what a call costs, and its prices.
 * A price that no one signed is therefore one at which nothing is called.
 */
export function pricesHash(entry: { api: string; url: string; betas: readonly string[]; prices: Prices }): string {
  const { api, url, betas, prices } = entry
  return sha256(jcs(['bailiwick-model-prices-v1', { api, url, betas, prices }]))
}
