import type { EnforcementPoint } from '@bailiwick/contracts'
import { claimedIssuer, sha256, verifyCallerAssertion, verifyingKey } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { Pdp } from './context.ts'

const leewayMs = 5000
const remembered = 1000

/**
 * Who asks: a registered enforcement point, by an assertion of at most a minute signed with its caller key. The same assertion
 * may be sent again while it lives, so its signature is checked once; the registry is asked each time.
 */
export class Callers {
  readonly #pdp: Pdp
  readonly #verified = new Map<string, { point: string; caller: string; until: number }>()

  constructor(pdp: Pdp) {
    this.#pdp = pdp
  }

  /** Throws `caller_unauthenticated`. */
  authenticate(authorization: string | undefined): EnforcementPoint {
    const assertion = /^Bearer ([A-Za-z0-9._-]{1,4096})$/i.exec(authorization ?? '')?.[1]
    const point = assertion === undefined ? undefined : this.#pointOf(assertion)
    if (!point) throw new ServiceError('caller_unauthenticated')
    return point
  }

  #pointOf(assertion: string): EnforcementPoint | undefined {
    const now = this.#pdp.clock.now()
    const { registry } = this.#pdp.projection.ledger
    const name = sha256(assertion)
    const known = this.#verified.get(name)
    if (known && now < known.until) {
      const point = registry.enforcementPoint(known.point)
      // A key that was replaced meanwhile ends what it signed.
      return point && JSON.stringify(point.caller_jwk) === known.caller ? point : undefined
    }
    const id = claimedIssuer(assertion)
    const point = id === undefined ? undefined : registry.enforcementPoint(id)
    const key = point && verifyingKey('pep-caller', point.caller_jwk)
    if (!point || !key) return undefined
    const audience = this.#pdp.publicUrl
    const verified = verifyCallerAssertion({ assertion, key, enforcementPoint: point.id, audience, now, leewayMs })
    if (!verified.ok) return undefined
    if (this.#verified.size >= remembered) this.#verified.delete(this.#verified.keys().next().value ?? '')
    this.#verified.set(name, {
      point: point.id,
      caller: JSON.stringify(point.caller_jwk),
      until: verified.value.exp * 1000,
    })
    return point
  }
}
