import { z } from 'zod'

/**
 * What one HTTP route takes and answers. The service that registers the route reads requests with these schemas. Clients read answers with
 * them, and the OpenAPI documents are generated from them. A client ignores members of an answer that it does not know.
 */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS'
  /** As the server spells it: `:name` is one segment, a final `*` is the rest of the path. */
  readonly path: string
  readonly summary: string
  /** `operator`: only on the operator's socket. `both`: there, and over the network to those who may read. */
  readonly on: 'http' | 'operator' | 'both'
  readonly params?: z.ZodType
  readonly query?: z.ZodType
  readonly body?: z.ZodType
  /** The media type of the body. Default: JSON. */
  readonly takes?: 'application/x-www-form-urlencoded'
  /** The JSON of a successful answer. */
  readonly answer?: z.ZodType
  /** Its statuses. Default: 200. */
  readonly statuses?: readonly number[]
  /** The status of a successful answer without a body. */
  readonly empty?: number
  /** The media type of a successful answer. Default: JSON. */
  readonly gives?: string
  /** The form of a refusal. Default: a problem document (RFC 9457). */
  readonly refusal?: 'oauth'
}

/** The routes of a service, by their names: operation ids in OpenAPI. */
export type Routes = Readonly<Record<string, Route>>

/** The routes of one service, as one OpenAPI document. */
export interface Api {
  readonly title: string
  readonly routes: Routes
}

/** What a handler of the route returns. */
export type AnswerOf<R extends { readonly answer: z.ZodType }> = z.input<R['answer']>

/** A problem document (RFC 9457). `type` is `urn:bailiwick:error:<code>` unless a standard names its own. */
export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.string(),
    retryable: z.boolean(),
    detail: z.string().optional(),
  })
  .meta({ id: 'problem' })

/** RFC 6749 §5.2 */
export const oauthErrorSchema = z
  .object({ error: z.string(), error_description: z.string() })
  .meta({ id: 'oauth-error' })
