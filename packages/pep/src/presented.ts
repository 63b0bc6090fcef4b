import type { IncomingMessage } from 'node:http'
import { callIdSchema } from '@bailiwick/contracts'
import type { Refusal } from './refusal.ts'

/** A caller's credential and proof, not yet verified. */
export type Presented =
  | { ok: true; credential: string | undefined; proof: string | undefined; callId: string | undefined }
  | { ok: false; reason: Refusal['reason'] }

/**
 * Reads `Authorization: DPoP …` and `DPoP` (RFC 9449 §7.1). A credential under another scheme, above all Bearer, is refused here and goes
 * no further: it is bound to a key, and without the proof it identifies no caller (V11). A field that appears twice is refused as well,
 * because node would keep the first of the two and another server the last. So is a call id that is none or comes twice
 * (`request_malformed`): under another id, a repetition would be another call.
 */
export function readPresented({ rawHeaders }: Pick<IncomingMessage, 'rawHeaders'>): Presented {
  const authorizations = fieldsOf(rawHeaders, 'authorization')
  const proofs = fieldsOf(rawHeaders, 'dpop')
  const callIds = fieldsOf(rawHeaders, 'bailiwick-call-id')
  if (authorizations.length > 1) return { ok: false, reason: 'credential_malformed' }
  if (proofs.length > 1 || proofs[0]?.includes(',')) return { ok: false, reason: 'proof_invalid' }
  const [authorization] = authorizations
  const [proof] = proofs
  const [callId] = callIds
  if (callIds.length > 1 || !isCallId(callId)) return { ok: false, reason: 'request_malformed' }
  if (authorization === undefined) return { ok: true, credential: undefined, proof: undefined, callId }
  const [, scheme, credential] = /^([A-Za-z0-9-]+) +([A-Za-z0-9._~+/=-]{1,16384})$/.exec(authorization) ?? []
  if (scheme === undefined) return { ok: false, reason: 'credential_malformed' }
  if (scheme.toLowerCase() !== 'dpop' || proof === undefined) return { ok: false, reason: 'proof_missing' }
  return { ok: true, credential, proof, callId }
}

/** Whether it can be the id of a call. Without one, the enforcement point makes its own. */
export const isCallId = (callId: string | undefined): boolean =>
  callId === undefined || callIdSchema.safeParse(callId).success

/** `rawHeaders` alternates names and values, as received. */
function fieldsOf(rawHeaders: readonly string[], name: string): string[] {
  return rawHeaders.filter((_, n) => n % 2 === 1 && rawHeaders[n - 1]?.toLowerCase() === name)
}
