import type { Approver, Assertion, Statement } from '@bailiwick/contracts'
import type { Refused, Trust } from '@bailiwick/credentials'
import { refused } from './refused.ts'
import { verifyAssertion } from './verify-assertion.ts'

/** The part of the trust anchor by which approvals are judged. */
export type ApprovalTrust = Pick<Trust, 'installation' | 'rp_id' | 'origins' | 'single_operator'>

/**
 * Finds who signed a statement: the distinct people behind its assertions, each of which must verify. `approvers` are all enrolled
 * approvers, by id. A passkey that two people hold identifies neither of them, because it would count twice.
 */
export async function verifySigners(check: {
  statement: Statement
  assertions: readonly Assertion[]
  approvers: ReadonlyMap<string, Approver>
  trust: ApprovalTrust
}): Promise<{ ok: true; signers: ReadonlyMap<string, Approver> } | Refused> {
  const { statement, trust } = check
  const signers = new Map<string, Approver>()
  for (const assertion of check.assertions) {
    const [holder, ...others] = holdersOf(assertion.credential_id, check.approvers.values())
    if (holder === undefined) return refused('approver_unknown', 'a passkey that no enrolled approver has')
    if (others.length > 0) return refused('approver_unknown', 'a passkey that more than one approver has')
    const { approver, credential } = holder
    const { rp_id: rpId, origins } = trust
    const verified = await verifyAssertion({ statement, assertion, approver, credential, rpId, origins })
    if (!verified.ok) return verified
    signers.set(approver.id, approver)
  }
  return { ok: true, signers }
}

/** Every enrolled approver who has a passkey with this id. */
export function holdersOf(
  credentialId: string,
  approvers: Iterable<Approver>,
): { approver: Approver; credential: Approver['credentials'][number] }[] {
  return [...approvers].flatMap((approver) => {
    const credential = approver.credentials.find((own) => own.credential_id === credentialId)
    return credential === undefined ? [] : [{ approver, credential }]
  })
}
