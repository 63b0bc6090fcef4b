import type { ErrorKind } from './error-kind.ts'

/** Why the gateway answers no to another proxy that asks it for a decision. The proxy then sends nothing on. */
export const authorizingErrors = {
  proxy_unauthenticated: {
    status: 403,
    retryable: false,
    title: 'The caller is not the proxy that may ask for decisions here',
    cause:
      'The field `Bailiwick-Proxy` is missing, comes twice, or does not hold the secret of this entry in `gateway.yaml`.',
    fix: 'Agents call the proxy, and never this address. In the proxy, set the field, so that it replaces what the client sent.',
  },
  body_not_shown: {
    status: 403,
    retryable: false,
    title: 'The proxy does not show the body of the request, and the decision depends on it',
    cause:
      'The grant bounds arguments, or the cost is in them, or the table of operations names what the body may hold. `detail` says which.',
    fix: 'Call the API through the gateway itself (`http:`), or use Envoy with `with_request_body`, and `body: shown` in `gateway.yaml`.',
  },
} as const satisfies Record<string, ErrorKind>
