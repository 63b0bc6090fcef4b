import { requestSummarySchema } from '@bailiwick/contracts/api'
import { z } from 'zod'
import { lenienceSchema } from './lenience.ts'

/** What the CLI reads of the operator's view of a request. An older service does not give `about` and `mode`. */
export const requestSchema = requestSummarySchema
  .pick({ id: true, state: true, kind: true, from: true, received_at: true, expires_at: true, endorsements: true })
  .extend(requestSummarySchema.pick({ about: true, mode: true }).partial().shape)
export const requestsSchema = lenienceSchema.extend({ requests: z.array(requestSchema) })

export type RequestSummary = z.output<typeof requestSchema>
