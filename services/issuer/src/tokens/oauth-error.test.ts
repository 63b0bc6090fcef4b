import { type ErrorCode, errorKinds, ServiceError, toProblem } from '@bailiwick/errors'
import { expect, it } from 'vitest'
import { asOAuthError, OAuthError, oauthErrorBody, oauthErrorOf } from './oauth-error.ts'

it('puts nothing into a description that OAuth does not allow there (RFC 6749 §5.2)', () => {
  const { error_description: text } = oauthErrorBody('invalid_request', 'a "b" \\ c\u0000\n\u007f § €')
  expect(text).toBe("a 'b' ' c''' ' '")
})

it('says what passes by itself as unavailable, with 503, and leaves what it has no word for', () => {
  for (const code of ['state_stale', 'state_contended', 'deadline_exceeded', 'outcome_unknown'] as const) {
    expect(asOAuthError(new ServiceError(code))).toMatchObject({
      error: 'temporarily_unavailable',
      status: 503,
      waitSeconds: 1,
      message: `${errorKinds[code].title}. Ask again.`,
    })
  }
  const full = new ServiceError('queue_full', undefined, { retryAfterSeconds: 3 })
  expect(asOAuthError(full)).toMatchObject({ error: 'temporarily_unavailable', status: 429, waitSeconds: 3 })
  const other = new ServiceError('invariant_broken')
  expect(asOAuthError(other)).toBe(other)
  expect(asOAuthError(new ServiceError('grant_not_active'))).toBeInstanceOf(OAuthError)
})

it.each<[ErrorCode, error: string, status: number, waitSeconds: number | undefined]>([
  ['service_unready', 'temporarily_unavailable', 503, 7],
  ['rate_limited', 'temporarily_unavailable', 429, 7],
  ['request_malformed', 'invalid_request', 400, undefined],
  ['body_too_large', 'invalid_request', 413, undefined],
  ['internal', 'server_error', 500, undefined],
])('says of %s, which no step of the endpoint threw, %s', (code, error, status, waitSeconds) => {
  expect(oauthErrorOf(toProblem(new ServiceError(code)), 7)).toMatchObject({ error, status, waitSeconds })
})

it('says which parameter is wrong, and reveals nothing of internal faults', () => {
  const said = (code: ErrorCode) =>
    oauthErrorOf(toProblem(new ServiceError(code, 'resource: given more than once'))).message
  expect(said('request_malformed')).toBe(`${errorKinds.request_malformed.title}: resource: given more than once.`)
  expect(said('service_standby')).toBe(`${errorKinds.service_standby.title}.`)
})
