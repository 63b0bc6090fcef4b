import type { Approver } from '@bailiwick/contracts'
import { jcs, type Refused, type VerifyingKey, verifyInvitation, verifyingKey } from '@bailiwick/credentials'
import type { AuthorizationCheck } from './authorization-check.ts'
import { no } from './change-content.ts'
import { refused } from './refused.ts'

/** How long a recovery must be in the registry before a person is enrolled through it: time to notice it, and to retire it. */
export const recoveryDelayMs = 24 * 3600 * 1000

const invalid = (detail: string) => refused('invitation_invalid', detail)

/** Enrols the first approver, once, with exactly the passkey and the groups that the invitation's holder signed. */
export function byInvitation(check: AuthorizationCheck, invitation: string): { ok: true } | Refused {
  const { entity, version, value, registry, anchor } = check
  if (entity.type !== 'approver' || version !== 1 || value === undefined) return no('invitation: first approver only')
  if (registry.enrolled || registry.approvers.size > 0) return invalid('used')
  return signedFor(value as Approver, invitation, anchor.invitation, anchor.trust.installation)
}

/**
 * For an approver whose passkeys are all lost. The person named by the root key gets exactly the passkey that the recovery's holder signed
 * for. It replaces the lost ones, once, and no sooner than 24 h after the registry got the recovery.
 */
export function byRecovery(
  check: AuthorizationCheck,
  { recovery: id, jws }: { recovery: string; jws: string },
): { ok: true } | Refused {
  const { entity, value, registry, anchor, at, takenAt = at } = check
  if (entity.type !== 'approver' || value === undefined) return no('recovery: enrols an approver, and nothing else')
  const recovery = registry.recoveries.get(id)
  if (recovery === undefined) return no('recovery: there is none of this name')
  if (recovery.used) return no('recovery: used')
  // The event's writer also sets its time: a time in the future must not shorten the delay.
  if (!(Math.min(at, takenAt) >= recovery.takenAt + recoveryDelayMs)) return no('recovery: its 24 h are not over')
  const { approver_id, name, groups, jwk } = recovery.value
  const approver = value as Approver
  if (approver.id !== approver_id || jcs([approver.name, approver.groups]) !== jcs([name, groups]))
    return no('recovery: for another person')
  const key = verifyingKey('invitation', jwk)
  if (key === undefined) return no('recovery: its key is none')
  return signedFor(approver, jws, key, anchor.trust.installation)
}

/** Whether the key's holder signed for exactly this person with exactly this one passkey. */
function signedFor(
  { id: approver_id, name, groups, credentials }: Approver,
  invitation: string,
  key: VerifyingKey<'invitation'>,
  installation: string,
): { ok: true } | Refused {
  const verified = verifyInvitation({ invitation, key, installation })
  if (!verified.ok) return verified
  const { installation: _, ...signed } = verified.value
  const [passkey, ...more] = credentials
  if (passkey === undefined || more.length > 0) return invalid('exactly one passkey')
  const { credential_id, public_key } = passkey
  return jcs(signed) === jcs({ credential_id, public_key, approver_id, name, groups })
    ? { ok: true }
    : invalid('another passkey or person')
}
