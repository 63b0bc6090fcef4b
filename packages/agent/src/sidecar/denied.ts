import type { Action } from '@bailiwick/credentials'
import { fieldsOf } from '@bailiwick/kit'
import { type Era, isObject, type JsonObject } from '@bailiwick/mcp'
import type { Denial } from '../denial.ts'
import { type ClientAnswer, type Id, resultMessage, toolResult } from './answers.ts'
import { requestAccess } from './own-tools.ts'

/** A denial of the gateway, for a call of a tool. */
export interface Denied {
  readonly code: string
  readonly reason: string
  /** What a request may answer; undefined if no human can allow the call. */
  readonly denial: Denial | undefined
}

/**
 * The code with which the gateway itself denied; undefined if it did not. A tool can write the members of a denial into its own result, and
 * would then end a task or have a human asked; but no field of a server's answer that begins with `bailiwick-` leaves the gateway.
 */
export const denialCodeIn = ({ headers }: ClientAnswer): string | undefined => fieldsOf(headers, 'bailiwick-denied')[0]

/** The denial in the gateway's answer, in either form. */
export function deniedIn(message: JsonObject, action: Action): Denied | undefined {
  const { error, result } = message
  const meta = isObject(result) && isObject(result._meta) ? result._meta['io.bailiwick/denial'] : undefined
  const data = isObject(error) && error.code === -32001 ? error.data : meta
  if (!isObject(data) || typeof data.code !== 'string') return undefined
  const reason = typeof data.reason === 'string' ? data.reason : 'The call was denied.'
  const offer = data.access_request
  if (!isObject(offer) || typeof offer.binding_token !== 'string' || typeof offer.expires_at !== 'string')
    return { code: data.code, reason, denial: undefined }
  const { binding_token: bindingToken, expires_at: expiresAt } = offer
  const { name, resource } = action
  return { code: data.code, reason, denial: { action: name, resource, bindingToken, expiresAt } }
}

/** The gateway's denial without what a request may answer. */
export function withoutOffer(message: JsonObject): JsonObject {
  const { error } = message
  if (!isObject(error) || !isObject(error.data)) return message
  const { access_request: _, ...data } = error.data
  return { ...message, error: { ...error, data } }
}

/** Codes after which nothing goes on under the grant. */
const ends: ReadonlySet<string> = new Set([
  'grant_unknown',
  'grant_not_active',
  'grant_expired',
  'grant_revoked',
  'agent_revoked',
  'approver_revoked',
  'everything_revoked',
  'access_request_refused',
])
export const endsTask = (code: string): boolean => ends.has(code)

/** A denial as a result, which models see. The binding token stays here: it is the sidecar's to use. */
export function deniedMessage(id: Id, era: Era, { code, reason, denial }: Denied, tool: string): object {
  const advice = denial === undefined ? '' : ` A human may allow it: call ${requestAccess} and name "${tool}".`
  const data = { code, reason, requestable: denial !== undefined }
  return resultMessage(id, era, {
    ...toolResult(`Denied (${code}). ${reason}${advice}`, data, true),
    _meta: { 'io.bailiwick/denial': data },
  })
}
