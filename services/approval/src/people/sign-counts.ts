import type { Approver, Assertion } from '@bailiwick/contracts'
import { decodeBase64url } from '@bailiwick/credentials'
import type { Projection } from '@bailiwick/instance'

type Passkey = Approver['credentials'][number]

/**
 * The newest counter of each passkey, seen at sign-in and in answers. A counter that stands still or goes back reveals a copy of an
 * authenticator (WebAuthn Level 3 §6.1.1). The registry has only the counter of the enrolment. Answers are in the log, so a restart
 * forgets sign-ins only.
 */
export class SignCounts implements Disposable {
  readonly #newest = new Map<string, number>()
  readonly #unsubscribe: () => void

  constructor(projection: Pick<Projection, 'ledger' | 'onFact'>) {
    for (const { endorsements, approved } of projection.ledger.requests.requests.values())
      for (const assertion of [...endorsements.map((e) => e.assertion), ...(approved?.assertions ?? [])])
        this.saw(assertion)
    this.#unsubscribe = projection.onFact(({ topic, verdict, event }) => {
      if (topic !== 'approvals.v1' || verdict !== 'counts') return
      if (event.type === 'request.endorsed') this.saw((event.data as { assertion: Assertion }).assertion)
      if (event.type === 'request.approved')
        for (const assertion of (event.data as { assertions: Assertion[] }).assertions) this.saw(assertion)
    })
  }

  /** The passkey with the counter by which it must be judged now. */
  current(credential: Passkey): Passkey {
    return {
      ...credential,
      sign_count: Math.max(credential.sign_count, this.#newest.get(credential.credential_id) ?? 0),
    }
  }

  /** Notes the counter of an assertion that verified. */
  saw({ credential_id: id, authenticator_data: data }: Assertion): void {
    const bytes = Buffer.from(decodeBase64url(data) ?? [])
    if (bytes.length < 37) return
    this.#newest.set(id, Math.max(this.#newest.get(id) ?? 0, bytes.readUInt32BE(33)))
  }

  [Symbol.dispose](): void {
    this.#unsubscribe()
  }
}
