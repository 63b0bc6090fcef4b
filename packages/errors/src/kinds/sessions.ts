import type { ErrorKind } from './error-kind.ts'

/** The gateway's session with a web application that knows people alone. */
export const sessionErrors = {
  session_login_failed: {
    status: 502,
    retryable: true,
    title: 'The gateway could not log in to the application: nothing was sent',
    cause:
      'The application did not accept the service account, its login page changed, or the recipe in `gateway.yaml` is wrong. `detail` says which.',
    fix: 'Compare the recipe with the login page, and the secret with the account. After a failure the gateway waits 30 s before it logs in again, so that the application does not lock the account.',
  },
  session_mfa_required: {
    status: 502,
    retryable: false,
    title: 'The application asks the service account for a second factor: nothing was sent',
    cause: 'After the password, the application showed a page for a code.',
    fix: 'Use a service account that logs in with its password alone, from the address of the gateway. The gateway answers no second factor.',
  },
  session_mfa_asked: {
    status: 502,
    retryable: false,
    title: 'The application answered with a page that asks for a second factor: the call may have had its effect',
    cause: 'The application wants a code before this action, from people too.',
    fix: 'Leave this action to a person, or exempt the service account from it in the application.',
  },
  session_lost: {
    status: 502,
    retryable: false,
    title: 'The application answered with its login page: it had ended the session',
    cause:
      'The session expired, or the account was logged out there, while a request that changes something was under way. A request that only reads is repeated after a new login; if it is answered with the login page again, the account may not see this page.',
    fix: 'Look at the application for what it did. The next call begins with a new login.',
  },
  session_token_missing: {
    status: 502,
    retryable: false,
    title: 'The application gave no token against forged requests: nothing was sent',
    cause: 'The page that `token` in `gateway.yaml` names has no such field, or the application set no such cookie.',
    fix: 'Correct `token` in `gateway.yaml`.',
  },
  session_route_reserved: {
    status: 403,
    retryable: false,
    title: 'Only the gateway itself uses this page of the application',
    cause: 'The path is that of the login, the log-out or a second factor, or is listed in `closed`.',
    fix: 'Leave it out: the gateway logs in and out by itself, and no agent changes the password of its account.',
  },
} as const satisfies Record<string, ErrorKind>
