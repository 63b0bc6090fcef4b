import { verifyChallenge } from '@bailiwick/approval-statement'
import type { Approver, Assertion } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import type { Approval } from '../context.ts'

/** The person who signed this challenge of ours to sign in. Throws `approver_unknown`, `assertion_invalid`. */
export async function whoSigned(
  { projection, trust, signCounts }: Approval,
  challenge: string,
  assertion: Assertion,
): Promise<Approver> {
  const known = projection.ledger.registry.passkey(assertion.credential_id)
  if (!known) throw new ServiceError('approver_unknown')
  const { approver, credential } = known
  const verified = await verifyChallenge({
    challenge,
    assertion,
    approver,
    credential: signCounts.current(credential),
    rpId: trust.rp_id,
    origins: trust.origins,
  })
  if (!verified.ok) throw new ServiceError(verified.code, verified.detail)
  signCounts.saw(assertion)
  return approver
}
