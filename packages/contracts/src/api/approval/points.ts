import { z } from 'zod'
import { toolSchema } from '../../entities.ts'
import { nameSchema, requestIdSchema, sha256Schema } from '../../primitives.ts'
import { longestManifestText } from '../../tool-manifest.ts'
import type { Routes } from '../route.ts'

/** The most bytes of a report: two manifests as JSON strings, and guesses. */
export const manifestReportBytes = 6 * 1024 * 1024

const manifestReportSchema = z
  .strictObject({
    /** The server's name in the registry. */
    server: nameSchema,
    /** The hash of what it says of itself now. */
    hash: sha256Schema,
    /** The canonical texts that an earlier answer wanted. */
    manifests: z.array(z.string().min(2).max(longestManifestText)).max(2).optional(),
    /** What the reporter guesses of each tool. It counts only for tools that people have not described. */
    guesses: z.record(z.string().min(1).max(200), toolSchema).optional(),
  })
  .meta({ id: 'manifest-report' })

const manifestAnswerSchema = z
  .object({
    /**
     * `approved`: people signed this manifest. `waiting`: a change that names it waits for people. `denied`: people denied it.
     * `later`: there is no change for it yet, because a text is wanted or because the last change is too recent.
     */
    state: z.enum(['approved', 'waiting', 'denied', 'later']),
    request_id: requestIdSchema.nullable(),
    /** Hashes whose texts are not here. Send those that you have. */
    wanted: z.array(sha256Schema),
  })
  .meta({ id: 'manifest-answer' })

/** For enforcement points. */
export const pointRoutes = {
  reportManifest: {
    method: 'POST',
    path: '/v1/manifests',
    summary: 'An enforcement point says what a server of tools says of itself now; if it is new, people are asked',
    on: 'http',
    body: manifestReportSchema,
    answer: manifestAnswerSchema,
  },
} as const satisfies Routes
