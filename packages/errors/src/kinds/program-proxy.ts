import type { ErrorKind } from './error-kind.ts'

/** What the proxy of `agent run` refuses. Nothing of such a request leaves the machine. */
export const programProxyErrors = {
  proxy_secret_missing: {
    status: 407,
    retryable: false,
    title: 'The proxy serves one program, and the request has not its secret',
    cause:
      'The program took the address of the proxy without the name and the password in it, or is not the program of this run.',
    fix: 'Use `HTTPS_PROXY` and `HTTP_PROXY` as they are in the environment of the program.',
  },
  host_not_served: {
    status: 403,
    retryable: false,
    title: 'No entry of this run stands for the address',
    cause:
      'The program called an address that was not named to `agent run`, or a path outside of the one that was named. The proxy opens a connection to none of them.',
    fix: 'If the program needs it, start it with `--http NAME=URL` (or `--git`, `--openai`, `--anthropic`) for an entry of the gateway, and ask for a task that covers it.',
  },
  host_ambiguous: {
    status: 400,
    retryable: false,
    title: 'The request names two hosts',
    cause: 'The target, `Host`, and the host of the tunnel are not the same.',
    fix: 'Send one host, once.',
  },
} as const satisfies Record<string, ErrorKind>
