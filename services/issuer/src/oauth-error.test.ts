import { errorKinds, ServiceError } from '@bailiwick/errors'
import { expect, it } from 'vitest'
import { asOAuthError, OAuthError, oauthErrorBody } from './oauth-error.ts'

it('puts nothing into a description that OAuth does not allow there (RFC 6749 §5.2)', () => {
  const { error_description: text } = oauthErrorBody('invalid_request', 'a "b" \\ c\u0000\n\u007f § €')
  expect(text).toBe("a 'b' ' c''' ' '")
})

it('says what passes by itself as unavailable, with 503, and leaves what it has no word for', () => {
  for (const code of [
    'state_stale',
    'state_contended',
    'deadline_exceeded',
    'queue_full',
    'outcome_unknown',
  ] as const) {
    expect(asOAuthError(new ServiceError(code))).toMatchObject({
      error: 'temporarily_unavailable',
      status: 503,
      message: `${errorKinds[code].title}. Ask again.`,
    })
  }
  const other = new ServiceError('invariant_broken')
  expect(asOAuthError(other)).toBe(other)
  expect(asOAuthError(new ServiceError('grant_not_active'))).toBeInstanceOf(OAuthError)
})
