import { z } from 'zod'
import { lenienceSchema } from './lenience.ts'

/** The operator's view of a request; never the agent's own text. */
export const requestSchema = z.object({
  id: z.string(),
  state: z.string(),
  kind: z.string().nullable(),
  from: z.string().nullable(),
  /** The task as the agent named it, the waiting action, or the change. */
  about: z.string().nullish(),
  mode: z.string().nullish(),
  received_at: z.string().nullable(),
  expires_at: z.string().nullable(),
  endorsements: z.int(),
})
export const requestsSchema = lenienceSchema.extend({ requests: z.array(requestSchema) })

export type RequestSummary = z.output<typeof requestSchema>
