import { z } from 'zod'
import { parseDecimal } from './decimal.ts'
import { isIdPrefix, isResourceId } from './resource.ts'

const wellFormed = (text: string): boolean => text.isWellFormed() // JCS cannot sign a lone surrogate

/** Values with which arguments are compared. Numbers are decimal strings, so that no reader ever makes a float of them. */
const scalarSchema = z.union([z.string().max(2048).refine(wellFormed, 'not well-formed Unicode'), z.boolean()])

const decimalSchema = z
  .string()
  .max(40)
  .regex(/^-?(0|[1-9][0-9]*)(\.[0-9]+)?$/, 'not a decimal string')
  .refine((text) => parseDecimal(text) !== undefined, 'more than 38 digits')

const pointerSchema = z
  .string()
  .max(256)
  .regex(/^(\/([^~/]|~[01])*)+$/, 'not a JSON pointer')
  .refine(wellFormed, 'not well-formed Unicode')

/** The comparisons that one argument must satisfy; there is at least one. */
const constraintSchema = z
  .strictObject({
    eq: z.exactOptional(scalarSchema),
    in: z.exactOptional(z.array(scalarSchema).min(1).max(256)),
    min: z.exactOptional(decimalSchema),
    max: z.exactOptional(decimalSchema),
    prefix: z.exactOptional(z.string().min(1).max(2048).refine(wellFormed, 'not well-formed Unicode')),
  })
  .refine(hasMembers, 'compares with nothing')

const resourceSchema = z
  .strictObject({
    type: z.string().regex(/^[!-~]{1,100}$/, 'not visible ASCII of 1 to 100 characters'),
    id: z.exactOptional(z.string().min(1).max(2048).refine(isResourceId, 'not a resource id in normal form')),
    id_prefix: z.exactOptional(z.string().max(2048).refine(isIdPrefix, 'not a URL in normal form that ends in /')),
  })
  .refine((resource) => (resource.id === undefined) !== (resource.id_prefix === undefined), 'needs id or id_prefix')

const permissionSchema = z.strictObject({
  actions: z
    .array(z.string().regex(/^[!-~]{1,200}$/, 'not visible ASCII of 1 to 200 characters'))
    .min(1)
    .max(64),
  resource: resourceSchema,
  where: z.exactOptional(
    z
      .record(pointerSchema, constraintSchema)
      .refine((where) => hasMembers(where) && Object.keys(where).length <= 32, 'needs 1 to 32 pointers'),
  ),
  /** `closed`: only the arguments that `where` and `cost` name are permitted. If absent, others are permitted too. */
  arguments: z.exactOptional(z.literal('closed')),
  /** The arguments in which an action states its cost. If absent, an action costs nothing but a call. */
  cost: z.exactOptional(z.strictObject({ amount: pointerSchema, currency: pointerSchema })),
  max_uses: z.exactOptional(z.int().min(1).max(1_000_000_000)),
})

/** Stands in `cost` for the seconds that connections last, in place of a currency. ISO 4217 has no such code. */
export const secondsUnit = 'SEC'

/** A missing member means no limit, except for `cost`: a currency that is not listed cannot be spent at all. */
const budgetSchema = z.strictObject({
  calls: z.exactOptional(z.int().min(0)),
  cost: z.exactOptional(
    z
      .record(
        z.string().regex(/^[A-Z]{3}$/, 'not a currency code'),
        // Any budget amount fits in an event, where an amount has at most 21 digits before the point.
        z.string().regex(/^(0|[1-9][0-9]{0,20})(\.[0-9]{1,6})?$/, 'not an amount with at most 6 fraction digits'),
      )
      .refine((cost) => Object.keys(cost).length <= 16, 'more than 16 currencies'),
  ),
  egress_bytes: z.exactOptional(z.int().min(0)),
})

/** An agent by its SPIFFE ID, which stands for all its instances. */
const delegateSchema = z
  .string()
  .max(2048)
  .regex(/^spiffe:\/\/[a-z0-9._-]{1,255}(\/(?!\.{1,2}(\/|$))[A-Za-z0-9._-]+)+$/, 'not a SPIFFE ID')

/** The most delegations that may follow one another. An approval cannot raise it. */
export const longestChain = 8

/**
 * What may be done, by DESIGN §7.1; as RFC 9396 `authorization_details`, `type` is `bailiwick_task`. Strict at every depth, and bounded in
 * every size; omitted members are in the output with their defaults (an empty budget; no delegation). For types and documents only: parse
 * untrusted input with `parseAuthority`, which also notices what zod drops silently.
 */
export const authoritySchema = z.strictObject({
  type: z.literal('bailiwick_task'),
  task: z.string().regex(/^[!-~]([ -~]{0,198}[!-~])?$/, 'not 1 to 200 characters of printable ASCII'),
  permissions: z.array(permissionSchema).min(1).max(64),
  budget: budgetSchema.default({}),
  /** How many delegations may follow one another below the grant. */
  max_depth: z.int().min(0).max(longestChain).default(0),
  /** How many delegations each holder may make. */
  max_children: z.int().min(0).max(1000).default(0),
  /** The only agents to which any holder may delegate parts. If absent, any agent; if empty, none. */
  delegates: z.exactOptional(z.array(delegateSchema).max(64)),
})

export type Authority = z.output<typeof authoritySchema>
export type Permission = Authority['permissions'][number]
export type Budget = Authority['budget']
export type Constraint = z.output<typeof constraintSchema>

function hasMembers(value: object): boolean {
  return Object.keys(value).length > 0
}
