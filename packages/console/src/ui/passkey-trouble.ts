interface Here {
  /** Of the page's address. */
  hostname: string
  /** Whether the browser counts the page as secure: https, or localhost. */
  isSecure: boolean
  hasWebAuthn: boolean
}

export const here = (): Here => ({
  hostname: location.hostname,
  isSecure: isSecureContext,
  hasWebAuthn: 'PublicKeyCredential' in globalThis && navigator.credentials !== undefined,
})

/** Why no passkey can be used at this address, and what to do; undefined: one can. `rpId`: for which name passkeys are made (WebAuthn §4). */
export function passkeyTrouble(rpId: string, { hostname, isSecure, hasWebAuthn }: Here): string | undefined {
  if (hostname !== rpId && !hostname.endsWith(`.${rpId}`))
    return `Passkeys of this installation work at ${rpId}, and this page is open at ${hostname}. Open it at ${rpId} instead.`
  if (!isSecure) return 'Browsers offer passkeys over https only, or at http://localhost. Open this page over https.'
  if (!hasWebAuthn)
    return 'This browser offers no passkeys (WebAuthn). Use a current version of Chrome, Edge, Firefox or Safari.'
  return undefined
}

/** The browser's name for an error, in words for people. It does not say why a person signed nothing: a refusal looks like a missing passkey. */
const errors: Readonly<Record<string, string>> = {
  NotAllowedError: 'Nothing was signed: the passkey was refused, or did not verify that it is you. Try again.',
  AbortError: 'Nothing was signed: the passkey was refused, or did not verify that it is you. Try again.',
  SecurityError:
    'The browser lets no passkey be used at this address. Open the console at the address that the installation has.',
  InvalidStateError: 'This device has a passkey of yours already. Use another device or security key.',
  NotSupportedError: 'This device can make no passkey of the kind that is needed. Use another device or security key.',
  ConstraintError:
    'This device cannot verify that it is you: set up a PIN, a fingerprint or your face on it, or use another one.',
}

export function passkeyErrorText(error: { name: string }): string {
  return errors[error.name] ?? 'The passkey did not work, and nothing was signed. Try again, or use another device.'
}
