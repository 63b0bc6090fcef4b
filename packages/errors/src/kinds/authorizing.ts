import type { ErrorKind } from './error-kind.ts'

/** Why the gateway answers no to another proxy that asks it for a decision. The proxy then sends nothing on. */
export const authorizingErrors = {
  proxy_unauthenticated: {
    status: 403,
    retryable: false,
    title: 'The caller is not the proxy that may ask for decisions here',
    cause:
      'The field `Bailiwick-Proxy` is missing, comes twice, or does not hold the secret of this entry in `gateway.yaml`.',
    fix: 'Let agents call the proxy, and never this address. Configure the proxy to set the field, and to replace what the client sent in it.',
  },
  body_not_shown: {
    status: 403,
    retryable: false,
    title: 'The proxy does not show the body of the request, and the decision depends on it',
    cause:
      'The grant bounds arguments that the body may hold, the cost is in the body, or the table of operations says what the body may hold. `detail` says which.',
    fix: 'Call the API through the gateway itself (`http:`), or use Envoy with `with_request_body`, and `body: shown` in `gateway.yaml`.',
  },
} as const satisfies Record<string, ErrorKind>
