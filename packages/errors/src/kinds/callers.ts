import type { ErrorKind } from './error-kind.ts'

/** Who called, and how that was shown. */
export const callerErrors = {
  caller_unauthenticated: {
    status: 401,
    retryable: false,
    title: 'The caller did not prove who it is',
    cause:
      'The assertion, the session or the proof is missing, expired, signed by an unknown key, or for another address.',
    fix: 'Sign with the registered key, for exactly this address, with a clock that is right. In the console, sign in again.',
  },
  caller_forbidden: {
    status: 403,
    retryable: false,
    title: 'The caller may not do this',
    cause: 'The caller is known, and this belongs to another one, or may be read only on this machine.',
    fix: 'Call as the party that it belongs to, or on the machine itself.',
  },
  origin_forbidden: {
    status: 403,
    retryable: false,
    title: 'The request does not come from an allowed origin',
    cause:
      'A page of another site made the request, or the console was opened under another address than the public one.',
    fix: 'Open the console at the installation’s public address.',
  },
  signature_invalid: {
    status: 401,
    retryable: false,
    title: 'The signature does not verify',
    cause: 'The bytes changed after they were signed, or another key signed them.',
    fix: 'Sign exactly the bytes that you send, with the key that is registered.',
  },
  key_unknown: {
    status: 401,
    retryable: false,
    title: 'The key is not certified here',
    cause: 'The registry does not have the key, or has it for another agent, instance or service.',
    fix: 'Register the key, or sign with the one that is registered.',
  },
  key_purpose_wrong: {
    status: 401,
    retryable: false,
    title: 'The key is not certified for this purpose',
    cause: 'The key is known, and signs something else: another kind of statement, or another topic.',
    fix: 'Use the key, or the key file, that was made for this purpose.',
  },
  token_malformed: {
    status: 401,
    retryable: false,
    title: 'The token is not well formed',
    cause: 'A header member, a claim or the algorithm is not as the kind of token demands. `detail` names it.',
    fix: 'Make the token as its page says.',
  },
  token_expired: {
    status: 401,
    retryable: false,
    title: 'The token is not valid at this time',
    cause: 'The token has expired, or begins later. Often a clock is wrong.',
    fix: 'Make a new token. Compare the clocks of both machines.',
  },
  token_life_too_long: {
    status: 401,
    retryable: false,
    title: 'The token expires later than is accepted here',
    cause: 'The `exp` of the token is further away than its kind may live.',
    fix: 'Make a token that lives shorter.',
  },
  token_audience_wrong: {
    status: 401,
    retryable: false,
    title: 'The token is meant for another audience',
    cause: 'The audience is another service, address, installation or action.',
    fix: 'Make a token for exactly the service that you call, and sign the action that you send.',
  },
  attestation_unavailable: {
    status: 503,
    retryable: true,
    title: 'The keys of the authority that vouches for the workload are unavailable',
    cause: 'The source of the authority’s keys does not answer, is no https address, or gives no key set.',
    fix: 'Check the `jwks` of the agent’s attestor, and that this service reaches it.',
  },
  token_replayed: {
    status: 401,
    retryable: false,
    title: 'The token was used before',
    cause: 'A proof, an assertion or a join token came twice, or came with another key.',
    fix: 'Make a new one for each request.',
  },
} as const satisfies Record<string, ErrorKind>
