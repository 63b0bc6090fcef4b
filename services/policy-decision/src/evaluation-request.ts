import { callIdSchema, sha256Schema } from '@bailiwick/contracts'
import { type Action, actionDigest } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { z } from 'zod'

const propertiesSchema = z.record(z.string(), z.unknown())

/** AuthZEN 1.0 §6 (Access Evaluation API); unknown members are ignored, as §5 has it. */
const evaluationSchema = z.object({
  subject: z.object({
    type: z.string().min(1).max(100),
    id: z.string().min(1).max(2100),
    properties: propertiesSchema.optional(),
  }),
  action: z.object({ name: z.string().min(1).max(200), properties: propertiesSchema.optional() }),
  resource: z.object({
    type: z.string().min(1).max(100),
    id: z.string().min(1).max(2048),
    properties: propertiesSchema.optional(),
  }),
  context: propertiesSchema.optional(),
})

/** What the enforcement point saw of the call (DESIGN §7.4), in `context.bailiwick`. */
const observedSchema = z.object({
  credential: z.string().max(16_384).optional(),
  proof: z.string().max(8192).optional(),
  htm: z.string().min(1).max(32).optional(),
  htu: z.string().min(1).max(8192).optional(),
  /** The digest of what the enforcement point will execute; computed again here. */
  action_digest: sha256Schema.optional(),
  call_id: callIdSchema.optional(),
})

export interface EvaluationRequest {
  subject: { type: string; id: string }
  action: { name: string; properties: Record<string, unknown> }
  resource: { type: string; id: string }
  observed: z.infer<typeof observedSchema>
  /** Whether it says which approval it comes with (access request profile, "Approval and Re-evaluation"). */
  withApproval: boolean
  /** The digest of the action, computed here; undefined when its arguments have no canonical form. */
  digest: string | undefined
}

/** Reads an evaluation. Throws `request_malformed`; what is well formed but not allowed is for the decision. */
export function parseEvaluation(body: unknown): EvaluationRequest {
  const evaluation = evaluationSchema.safeParse(body)
  if (!evaluation.success) throw malformed(evaluation.error)
  const { subject, action, resource, context } = evaluation.data
  refuseCedarEscapes(evaluation.data)
  const observed = observedSchema.safeParse(context?.bailiwick ?? {})
  if (!observed.success) throw malformed(observed.error, 'context.bailiwick.')
  const asked = { name: action.name, properties: action.properties ?? {} }
  const on = { type: resource.type, id: resource.id }
  return {
    subject: { type: subject.type, id: subject.id },
    action: asked,
    resource: on,
    observed: observed.data,
    withApproval: context?.approval !== undefined,
    digest: digestOf({ ...asked, resource: on }),
  }
}

function digestOf(action: Action): string | undefined {
  try {
    return actionDigest(action)
  } catch {
    return undefined
  }
}

/** Cedar reads these keys as references and extension values: in anything that a caller sends they are an attack. */
function refuseCedarEscapes(value: unknown): void {
  if (typeof value !== 'object' || value === null) return
  for (const [key, member] of Object.entries(value)) {
    if (key === '__entity' || key === '__extn' || key === '__expr')
      throw new ServiceError('request_malformed', `a member named ${key}`)
    refuseCedarEscapes(member)
  }
}

function malformed(error: z.ZodError, prefix = ''): ServiceError {
  const issue = error.issues[0]
  return new ServiceError('request_malformed', `${prefix}${issue?.path.join('.')}: ${issue?.code}`)
}
