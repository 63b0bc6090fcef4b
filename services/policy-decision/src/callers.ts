import { timingSafeEqual } from 'node:crypto'
import type { EnforcementPoint } from '@bailiwick/contracts'
import { claimedIssuer, sha256, verifyCallerAssertion, verifyingKey } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { AuthZenCaller } from './authzen.ts'
import type { Pdp } from './context.ts'

/** A registered enforcement point that asks, and which start of it; undefined: it states none, and must be one process. */
export type CallingPoint = EnforcementPoint & { readonly instance?: string | undefined }

const leewayMs = 5000
const remembered = 1000

/** base64url of 32 bytes or more. What is shorter can be guessed from its hash, which is public; an assertion has dots. */
const bearerSecret = /^[A-Za-z0-9_-]{43,512}$/

/**
 * Who asks: a registered enforcement point, by an assertion of at most a minute signed with its caller key. The same assertion
 * may be sent again while it lives, so its signature is checked once; the registry is asked each time. Or, where its registration
 * has one, by its bearer secret. A point that states no instance is told of, once.
 */
export class Callers {
  readonly #pdp: Pdp
  readonly #onSingle: (point: string) => void
  readonly #verified = new Map<string, { point: string; caller: string; instance: string | undefined; until: number }>()

  /** `onSingle`: told of each call by a point that states no instance. */
  constructor(pdp: Pdp, onSingle: (point: string) => void) {
    this.#pdp = pdp
    this.#onSingle = onSingle
  }

  /** Throws `caller_unauthenticated`. */
  authenticate({ authorization, confidential }: AuthZenCaller): CallingPoint {
    const token = /^Bearer ([A-Za-z0-9._-]{1,4096})$/i.exec(authorization ?? '')?.[1] ?? ''
    const point = bearerSecret.test(token) ? confidential && this.#pointOfBearer(token) : this.#pointOf(token)
    if (!point) throw new ServiceError('caller_unauthenticated')
    if (point.instance === undefined) this.#onSingle(point.id)
    return point
  }

  /** All are compared, each in constant time. A secret that two points share says of neither that it is the caller. */
  #pointOfBearer(secret: string): CallingPoint | undefined {
    const given = Buffer.from(sha256(secret))
    const found = this.#pdp.projection.ledger.registry
      .all('enforcement-point')
      .filter(({ bearer_sha256: known }) => known !== undefined && timingSafeEqual(Buffer.from(known), given))
    return found.length === 1 ? found[0] : undefined
  }

  #pointOf(assertion: string): CallingPoint | undefined {
    const now = this.#pdp.clock.now()
    const { registry } = this.#pdp.projection.ledger
    const name = sha256(assertion)
    const known = this.#verified.get(name)
    if (known && now < known.until) {
      const point = registry.enforcementPoint(known.point)
      // A key that was replaced meanwhile ends what it signed.
      return point && JSON.stringify(point.caller_jwk) === known.caller ? instanceOf(point, known.instance) : undefined
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
      instance: verified.value.instance,
      until: verified.value.exp * 1000,
    })
    return instanceOf(point, verified.value.instance)
  }
}

const instanceOf = (point: EnforcementPoint, instance: string | undefined): CallingPoint =>
  instance === undefined ? point : { ...point, instance }
