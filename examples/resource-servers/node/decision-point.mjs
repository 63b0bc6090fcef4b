import { readFileSync } from 'node:fs'

// Asks a decision point of Bailiwick about one action (AuthZEN Authorization API 1.0), with the caller's credential and proof.
// The decision point verifies both once more, and it alone knows revocations, policies, history and budgets. It counts each proof
// once for all servers that ask it. After a start it requires a nonce of its own, which its answer has in `DPoP-Nonce`.

const longestAnswer = 1 << 20

export function decisionPoint(address, secretFile) {
  const secret = readFileSync(secretFile, 'ascii').trim()

  /** `nonce` is there if the next proof needs it. An answer that is not a clear yes counts as no. */
  return async function decide(subject, action, resource, observed) {
    const question = {
      subject: { type: 'agent', id: subject },
      action: { name: action },
      resource,
      context: { bailiwick: observed, supported_obligations: [] },
    }
    try {
      const answer = await fetch(`${address}/access/v1/evaluation`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${secret}` },
        body: JSON.stringify(question),
        redirect: 'error',
        signal: AbortSignal.timeout(5000),
      })
      const text = await answer.text()
      if (answer.status !== 200 || text.length > longestAnswer) return { allowed: false, reason: 'pdp_unavailable' }
      const { decision, context = {} } = JSON.parse(text)
      if (decision === true) return { allowed: true }
      return {
        allowed: false,
        reason: context.reason ?? 'internal',
        nonce: answer.headers.get('dpop-nonce') ?? undefined,
      }
    } catch {
      return { allowed: false, reason: 'pdp_unavailable' }
    }
  }
}
