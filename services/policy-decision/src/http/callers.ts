import { timingSafeEqual } from 'node:crypto'
import type { AuthZenCaller } from '@bailiwick/authzen'
import type { EnforcementPoint } from '@bailiwick/contracts'
import { claimedIssuer, sha256, verifyCallerAssertion, verifyingKey } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { Clocked, State } from '../ports.ts'

type Ports = Pick<Clocked, 'clock'> & Pick<State, 'projection' | 'publicUrl'>

/** A registered enforcement point, and which start of it is calling. Undefined: the point states no instance, and must be one process. */
export type CallingPoint = EnforcementPoint & { readonly instance?: string | undefined }

const leewayMs = 5000
const remembered = 1000

/** base64url of 32 bytes or more. A shorter secret could be guessed from its hash, which is public. An assertion has dots. */
const bearerSecret = /^[A-Za-z0-9_-]{43,512}$/

/**
 * Authenticates the calling enforcement point, which must be registered. It proves itself by an assertion that is valid for at most a
 * minute, signed with its caller key, or by the bearer secret of its registration, if it has one. The same assertion may be sent again
 * while it is valid, so its signature is checked once; the registry is checked each time. A point that states no instance is reported
 * once.
 */
export class Callers {
  readonly #ports: Ports
  readonly #onSingle: (point: string) => void
  readonly #verified = new Map<string, { point: string; caller: string; instance: string | undefined; until: number }>()

  /** `onSingle` is called when a point that states no instance authenticates. */
  constructor(ports: Ports, onSingle: (point: string) => void) {
    this.#ports = ports
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

  /** Compares all secrets, each in constant time. A secret that two points share authenticates neither. */
  #pointOfBearer(secret: string): CallingPoint | undefined {
    const given = Buffer.from(sha256(secret))
    const found = this.#ports.projection.ledger.registry
      .all('enforcement-point')
      .filter(({ bearer_sha256: known }) => known !== undefined && timingSafeEqual(Buffer.from(known), given))
    return found.length === 1 ? found[0] : undefined
  }

  #pointOf(assertion: string): CallingPoint | undefined {
    const now = this.#ports.clock.now()
    const { registry } = this.#ports.projection.ledger
    const name = sha256(assertion)
    const known = this.#verified.get(name)
    if (known && now < known.until) {
      const point = registry.enforcementPoint(known.point)
      // An assertion is void once the key that signed it was replaced.
      return point && JSON.stringify(point.caller_jwk) === known.caller ? instanceOf(point, known.instance) : undefined
    }
    const id = claimedIssuer(assertion)
    const point = id === undefined ? undefined : registry.enforcementPoint(id)
    const key = point && verifyingKey('pep-caller', point.caller_jwk)
    if (!point || !key) return undefined
    const audience = this.#ports.publicUrl
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
