import { expect, it } from 'vitest'
import { passkeyErrorText, passkeyTrouble } from './passkey-trouble.ts'

const fine = { hostname: 'localhost', isSecure: true, hasWebAuthn: true }
it.each([
  ['localhost', fine, undefined],
  ['example.org', { ...fine, hostname: 'bailiwick.example.org' }, undefined],
  [
    'localhost',
    { ...fine, hostname: '127.0.0.1' },
    /^Passkeys of this installation work at localhost, .* open at 127\.0\.0\.1\./,
  ],
  ['example.org', { ...fine, hostname: 'badexample.org' }, /work at example\.org/],
  ['example.org', { hostname: 'example.org', isSecure: false, hasWebAuthn: false }, /over https/],
  ['localhost', { ...fine, hasWebAuthn: false }, /offers no passkeys/],
])('for passkeys of %s at %o says what is wrong', (rpId, here, says) => {
  const trouble = passkeyTrouble(rpId, here)
  if (says === undefined) expect(trouble).toBeUndefined()
  else expect(trouble).toMatch(says)
})

it('has words for every error of a ceremony, and shows no text of the browser', () => {
  for (const name of ['NotAllowedError', 'SecurityError', 'InvalidStateError', 'UnknownError'])
    expect(passkeyErrorText({ name })).toMatch(/^[A-Z].*\.$/)
})
