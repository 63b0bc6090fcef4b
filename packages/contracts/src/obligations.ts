import { z } from 'zod'

// AuthZEN Profile for Obligations, Draft 1: what an enforcement point must do for a decision to hold. An obligation that it cannot fulfil
// denies.

/** Unique within its answer. */
const id = z.string().min(1).max(64)

/**
 * A field of an answer: a member's name, or several from the outside in (`iban`, `owner/email`), at any depth, including inside arrays. As
 * in a JSON pointer, `~1` is a slash in a name and `~0` a tilde.
 */
export const answerFieldSchema = z
  .string()
  .max(128)
  .regex(/^(?:[^/~]|~[01])+(?:\/(?:[^/~]|~[01])+)*$/, 'not a field')

/** The most fields that one answer may have to hide. */
export const mostAnswerFields = 128

/** Kinds that the profile does not register, identified by `vendor` and `action`. */
const custom = <A extends string, S extends z.ZodRawShape>(action: A, shape: S) =>
  z.strictObject({
    id,
    type: z.literal('custom'),
    properties: z.strictObject({ vendor: z.literal('bailiwick'), action: z.literal(action), ...shape }),
  })

/** The values of these fields never leave in the answer. */
const redact = custom('redact', { fields: z.array(answerFieldSchema).min(1).max(mostAnswerFields) })
/** The answer has at most this many bytes. */
const limit = custom('limit', { bytes: z.int().min(1) })
/** The outcome is reported within this many seconds of the decision. */
const reportOutcomeBy = custom('report_outcome_by', { seconds: z.int().min(1) })
const notification = z.strictObject({
  id,
  type: z.literal('notification'),
  properties: z.strictObject({
    to: z.string().min(1).max(256),
    topic: z.string().max(512).optional(),
    body: z.string().max(8192),
  }),
})
/** With a denial: people must approve first. Their assurance is `acr_value`. */
const stepUp = z.strictObject({
  id,
  type: z.literal('step-up'),
  properties: z.strictObject({ acr_value: z.string().min(1).max(256), amr_values: z.array(z.string()).optional() }),
})

/** An obligation that is understood here. Any other value is not understood, nor is one with an unknown member. */
export const obligationSchema = z.union([redact, limit, reportOutcomeBy, notification, stepUp])
export type Obligation = z.infer<typeof obligationSchema>
export type Notification = z.infer<typeof notification>['properties']

/** The registered `type` of every obligation that a decision point here returns. */
export const obligationTypes = ['step-up', 'notification', 'custom'] as const
/** `properties.action` of the obligations of type `custom`. */
export const customObligations = ['redact', 'limit', 'report_outcome_by'] as const
