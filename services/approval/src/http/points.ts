import type { EnforcementPoint } from '@bailiwick/contracts'
import { type AnswerOf, manifestReportBytes, pointRoutes } from '@bailiwick/contracts/api'
import { claimedIssuer, verifyCallerAssertion, verifyingKey } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { HttpServer } from '@bailiwick/host'
import { RateLimiter } from '@bailiwick/kit'
import type { FastifyRequest } from 'fastify'
import type { Approval } from '../context.ts'
import { reportManifest } from '../registry/report-manifest.ts'

const { path, body } = pointRoutes.reportManifest
const leewayMs = 5000
/** Reports of one point. While people do not answer, a gateway asks every few seconds for each server. */
const reportsOfAPoint = { perSecond: 5, burst: 50, maxKeys: 1000 }

/** `POST /v1/manifests`: an enforcement point says what a server of tools says of itself now. */
export function pointsRoutes(http: HttpServer, approval: Approval): void {
  const points = new WeakMap<FastifyRequest, EnforcementPoint>()
  const rates = new RateLimiter({ ...reportsOfAPoint, clock: approval.clock })
  /** Refuses unauthenticated callers before a byte of the body is read. */
  const onRequest = async (request: FastifyRequest) => {
    const point = callingPoint(approval, request.headers.authorization)
    request.callerVerified()
    const rated = rates.take(point.id)
    if (!rated.ok)
      throw new ServiceError('rate_limited', 'this point reports too often', {
        retryAfterSeconds: rated.retryAfterSeconds,
      })
    points.set(request, point)
  }
  const options = { onRequest, bodyLimit: manifestReportBytes, schema: { body } }
  http.post(path, options, async (request): Promise<AnswerOf<typeof pointRoutes.reportManifest>> => {
    const point = points.get(request)
    if (point === undefined) throw new ServiceError('caller_unauthenticated')
    return reportManifest(approval, point, request.body)
  })
}

/** The registered point whose caller key signed the assertion for this very address. Throws `caller_unauthenticated`. */
function callingPoint({ projection, publicUrl, clock }: Approval, authorization: string | undefined): EnforcementPoint {
  const assertion = /^Bearer ([A-Za-z0-9._-]{1,4096})$/i.exec(authorization ?? '')?.[1] ?? ''
  const id = claimedIssuer(assertion)
  const point = id === undefined ? undefined : projection.ledger.registry.enforcementPoint(id)
  const key = point && verifyingKey('pep-caller', point.caller_jwk)
  if (point === undefined || key === undefined) throw new ServiceError('caller_unauthenticated')
  const audience = `${publicUrl}${path}`
  const verified = verifyCallerAssertion({
    ...{ assertion, key, audience, leewayMs },
    enforcementPoint: point.id,
    now: clock.now(),
  })
  if (!verified.ok) throw new ServiceError('caller_unauthenticated', verified.detail)
  return point
}
