import { z } from 'zod'
import { sha256Schema, spiffeIdSchema } from '../primitives.ts'

// Parts of answers that several services give.

/** A set of public keys (RFC 7517 §5). Each key may have more members, among them the root's certificate. */
export const jwkSetSchema = z
  .object({ keys: z.array(z.looseObject({ kty: z.string(), kid: z.string(), alg: z.string().optional() })) })
  .meta({ id: 'jwk-set' })

/** The operator's order to each service that will take a join token. Only the workload has the token itself. */
export const joinTokenOrderSchema = z.strictObject({
  /** `<agent id>/<instance>` */
  instance: spiffeIdSchema,
  /** The hash of the secret that will be shown to this service. Each service has its own, so that neither can use the other's. */
  token_hash: sha256Schema,
  minutes: z.int().min(1).max(60),
})
export type JoinTokenOrder = z.infer<typeof joinTokenOrderSchema>

/** From now on the service accepts the token, once, until `expires_at`. */
export const joinTokenOfferSchema = z.object({ instance: z.string(), expires_at: z.string() })

/** The attachments that were erased. */
export const erasedSchema = z.object({ erased: z.array(z.string()) })

/** An authority as it is shown to people. Its members were checked when it was asked for (`packages/authority`). */
export const shownBudgetSchema = z
  .object({
    calls: z.int().optional(),
    cost: z.record(z.string(), z.string()).optional(),
    egress_bytes: z.int().optional(),
  })
  .meta({ id: 'shown-budget' })

const shownScalar = z.union([z.string(), z.boolean()])
export const shownPermissionSchema = z
  .object({
    actions: z.array(z.string()),
    resource: z.object({ type: z.string(), id: z.string().optional(), id_prefix: z.string().optional() }),
    /** Bounds of arguments, by JSON pointer. */
    where: z
      .record(
        z.string(),
        z.object({
          eq: shownScalar.optional(),
          in: z.array(shownScalar).optional(),
          min: z.string().optional(),
          max: z.string().optional(),
          prefix: z.string().optional(),
        }),
      )
      .optional(),
    /** No argument may be present that `where` and the cost do not name. */
    arguments: z.literal('closed').optional(),
    cost: z.object({ amount: z.string(), currency: z.string() }).optional(),
    max_uses: z.int().optional(),
  })
  .meta({ id: 'shown-permission' })

export const shownAuthoritySchema = z
  .object({
    type: z.literal('bailiwick_task'),
    task: z.string(),
    permissions: z.array(shownPermissionSchema),
    budget: shownBudgetSchema,
    max_depth: z.int(),
    max_children: z.int(),
    /** The only agents to which it may be delegated. Absent: any. */
    delegates: z.array(z.string()).optional(),
  })
  .meta({ id: 'shown-authority' })

/** Spent and reserved together. */
export const takenSchema = z
  .object({
    calls: z.int(),
    egress_bytes: z.int(),
    cost: z.record(z.string(), z.string()),
    /** Calls without a report of the bytes they sent: they count as all that was left. */
    unmeasured: z.int(),
  })
  .meta({ id: 'taken' })
