import type { AuthZenEvaluation, JsonObject } from '@bailiwick/authzen'
import {
  callIdSchema,
  compactJwsSchema,
  longestAnswerSeconds,
  mappedActionSchema,
  mostMapped,
  sha256Schema,
} from '@bailiwick/contracts'
import { type Action, actionDigest } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { z } from 'zod'

/** The enforcement point's view of the call (DESIGN §7.4), in `context.bailiwick`. */
const observedSchema = z.object({
  credential: z.string().max(16_384).optional(),
  proof: z.string().max(8192).optional(),
  htm: z.string().min(1).max(32).optional(),
  htu: z.string().min(1).max(8192).optional(),
  /** The digest of the action that the enforcement point will execute; computed again here. */
  action_digest: sha256Schema.optional(),
  call_id: callIdSchema.optional(),
  /** How long the answer may become, in bytes. This many are reserved if the task's bytes are limited. */
  answer_bytes: z.int().min(1).optional(),
  /** How long the answer may flow. The outcome is due that much later, and the reservation is held as long if none comes. */
  answer_seconds: z.int().min(1).max(longestAnswerSeconds).optional(),
  /** The hash of what the tool's server says of itself now, where the enforcement point has read that. */
  manifest: sha256Schema.optional(),
  /** What the tool's declared mapping makes of this call: each must be granted beside the action itself. */
  mapped: z.array(mappedActionSchema).min(1).max(mostMapped).optional(),
  /**
   * The call goes on with a round of an earlier call, as the enforcement point states (`verifyContinuation` in credentials). `salt`: that
   * of the name of the first round's action, from its permit.
   */
  continues: z.strictObject({ asked: compactJwsSchema, salt: z.string().max(22).optional() }).optional(),
  /** In a search: whether some arguments would be permitted. A decision is about the arguments that it names, and ignores this. */
  any_arguments: z.literal(true).optional(),
  /** In a search for resources: how their ids begin. What begins otherwise is not looked at. */
  resource_prefix: z.string().min(1).max(2048).optional(),
  /** In a search for the subject: also answer with what is left of the budget. A decision ignores this. */
  budget: z.literal(true).optional(),
})

/** The obligations that the enforcement point can fulfil (AuthZEN obligations profile, "Negotiation"). */
const supportedSchema = z.array(z.string().max(256)).max(64).optional()

export interface EvaluationRequest {
  subject: { type: string; id: string }
  action: { name: string; properties: JsonObject }
  resource: { type: string; id: string }
  observed: z.infer<typeof observedSchema>
  /** Whether the request names the approval that it comes with (access request profile, "Approval and Re-evaluation"). */
  withApproval: boolean
  /** Types of obligations that the enforcement point can do; undefined: it does not say. */
  supported?: readonly string[] | undefined
  /** The digest of the action, computed here; undefined when its arguments have no canonical form. */
  digest: string | undefined
}

/** Reads the call from an evaluation. Throws `request_malformed`. A request that is well formed but not allowed is left to the decision. */
export function evaluationRequest({ subject, action, resource, context }: AuthZenEvaluation): EvaluationRequest {
  const observed = observedSchema.safeParse(context?.bailiwick ?? {})
  if (!observed.success) throw malformed(observed.error, 'context.bailiwick.')
  const supported = supportedSchema.safeParse(context?.supported_obligations)
  if (!supported.success) throw malformed(supported.error, 'context.supported_obligations.')
  const asked = { name: action.name, properties: action.properties ?? {} }
  const on = { type: resource.type, id: resource.id }
  return {
    subject: { type: subject.type, id: subject.id },
    action: asked,
    resource: on,
    observed: observed.data,
    withApproval: context?.approval !== undefined,
    supported: supported.data,
    digest: digestOf({ ...asked, resource: on }),
  }
}

/** Whether events can name the request. If they cannot, it is well formed but denied. */
export function isNameable({ subject, action, resource }: EvaluationRequest): boolean {
  return namesSchema.safeParse({ subject: subject.id, action: action.name, resource }).success
}

const namesSchema = z.object({
  subject: z.string().min(1).max(2100),
  action: z.string().min(1).max(200),
  resource: z.object({ type: z.string().min(1).max(100), id: z.string().min(1).max(2048) }),
})

function digestOf(action: Action): string | undefined {
  try {
    return actionDigest(action)
  } catch {
    return undefined
  }
}

function malformed(error: z.ZodError, prefix: string): ServiceError {
  const issue = error.issues[0]
  return new ServiceError('request_malformed', `${prefix}${issue?.path.join('.')}: ${issue?.code}`)
}
