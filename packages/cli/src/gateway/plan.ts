import { entitySchemas } from '@bailiwick/contracts'
import { type ErrorCode, errorKinds, ServiceError } from '@bailiwick/errors'
import { parseJson } from '@bailiwick/kit'
import { z } from 'zod'
import { expectAnswer } from '../expect-answer.ts'
import type { Io } from '../io.ts'
import type { PresentEntity } from '../present-entities.ts'
import { gatewayPlan } from '../repository.ts'
import { runChild } from './child.ts'

const changeSchema = z.object({
  kind: z.enum(['identity', 'server_info', 'instructions', 'tools', 'prompts', 'templates']),
  name: z.string().optional(),
  change: z.enum(['new', 'gone', 'changed']),
  differences: z.array(
    z.object({ pointer: z.string(), before: z.unknown().optional(), after: z.unknown().optional() }),
  ),
})
export type ManifestChange = z.output<typeof changeSchema>

const guessSchema = z.object({ tool: z.string(), labels: z.array(z.string()), why: z.array(z.string()) })

const planSchema = z.object({
  entry: entitySchemas['tool-server'],
  guesses: z.array(guessSchema),
  notes: z.array(z.string()),
  point: z.string(),
  keys: z.string(),
  file: z.object({ before: z.string().nullable(), after: z.string() }).optional(),
  pin: z.object({ path: z.string(), next: z.string(), text: z.string() }),
  era: z.enum(['legacy', 'modern']),
  manifest: z.string(),
  base: z.enum(['pin', 'next', 'none']),
  changes: z.array(changeSchema),
})
/** What adding a server, or approving it again, would change; the gateway's own code made it (services/gateway/src/add). */
export type Plan = z.output<typeof planSchema>

const answerSchema = z.union([
  z.object({ plan: planSchema }),
  z.object({ error: z.object({ code: z.string(), detail: z.string() }) }),
])

export interface PlanOptions {
  name: string
  config: string
  /** The entry of gateway.yaml to add; absent if the file has it. */
  entry?: Readonly<Record<string, unknown>> | undefined
  /** Whether it is new: then no other tool server of the registry may have its name. */
  adding: boolean
  timeoutSeconds: number
  present: readonly PresentEntity[]
}

/** Reads the server in a process of its own, and resolves with what would change. Throws what that process could not do. */
export async function planServer({ present, ...request }: PlanOptions, { env }: Pick<Io, 'env'>): Promise<Plan> {
  const servers = present.filter(({ type }) => type === 'tool-server').map(({ id, value }) => [id, value])
  const input = JSON.stringify({ ...request, registered: Object.fromEntries(servers) })
  const { out, err, code } = await runChild(gatewayPlan, { input, env })
  if (out === '') throw new ServiceError('config_invalid', `the server could not be read (${code}): ${err.trim()}`)
  const answer = expectAnswer(answerSchema, parseJson(out))
  if ('plan' in answer) return answer.plan
  const { code: failed, detail } = answer.error
  throw new ServiceError(Object.hasOwn(errorKinds, failed) ? (failed as ErrorCode) : 'config_invalid', detail)
}
