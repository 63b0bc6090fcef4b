import type { Template } from '@bailiwick/relay'
import { z } from 'zod'
import { pricesSchema } from './prices.ts'

/** The members of an entry of `models` in `gateway.yaml`, from the schemas for addresses and injected fields that all entries share. */
export const modelsEntrySchema = (address: z.ZodType<string>, headers: z.ZodType<Readonly<Record<string, Template>>>) =>
  z.strictObject({
    /** The shape of its API. */
    api: z.enum(['openai', 'anthropic']),
    /** The provider, without `/v1`. */
    url: address.refine((url) => !url.includes('?'), 'expected a URL without a query'),
    /** Whether the name in the address may lead to private addresses. */
    private: z.boolean().default(false),
    inject: z.strictObject({ headers: headers.optional() }).default({}),
    /** The name of the server in the registry; the name of this entry if left out. */
    server: z
      .string()
      .regex(/^[A-Za-z0-9._@-]{1,64}$/, 'expected the name of a tool server in the registry')
      .optional(),
    /** Values of `anthropic-beta` that a request may have. A beta can change what a call costs. */
    betas: z
      .array(z.string().regex(/^[A-Za-z0-9._-]{1,64}$/))
      .max(16)
      .default([]),
    /** How long the gateway reads an answer on after its client hung up, to learn what it cost. 0: it cuts the answer at once. */
    read_on_seconds: z.int().min(0).max(900).default(60),
    prices: pricesSchema,
  })

export type ModelsEntry = z.output<ReturnType<typeof modelsEntrySchema>>
