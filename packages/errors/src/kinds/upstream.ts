import type { ErrorKind } from './error-kind.ts'

/** What happens between a relay and what stands behind it. */
export const upstreamErrors = {
  call_not_begun: {
    status: 503,
    retryable: true,
    title: 'The call was given up before anything was sent',
    cause: 'The client went away, or the call was cut, while its decision was made.',
    fix: 'Call again, under a new call id.',
  },
  upstream_unreachable: {
    status: 502,
    retryable: true,
    title: 'The upstream could not be reached: nothing was sent',
    cause: 'The upstream does not run, its name or port is wrong, or its certificate does not verify.',
    fix: 'Start the upstream, or correct its URL in the configuration of the relay.',
  },
  upstream_busy: {
    status: 503,
    retryable: true,
    title: 'Too many calls of this upstream are under way: nothing was sent',
    cause: 'As many calls as the relay allows for this upstream wait for its answers.',
    fix: 'Call again later. If the upstream can take more, raise the limit.',
  },
  upstream_address_forbidden: {
    status: 502,
    retryable: false,
    title: 'The name of the upstream leads to an address that is not allowed: nothing was sent',
    cause: 'The name resolves to a private or link-local address, and the upstream is not configured as private.',
    fix: 'Configure the upstream as private, or by its address. If it should be public, look at who answers for its name.',
  },
  upstream_timed_out: {
    status: 504,
    retryable: false,
    title: 'The upstream did not answer in time: the call may have had its effect',
    cause: 'The upstream was slower than the limit for the head of an answer, or paused inside it for too long.',
    fix: 'Look at the upstream for what it did. Raise the limit if it may take that long.',
  },
  upstream_failed: {
    status: 502,
    retryable: false,
    title: 'The upstream broke off, or answered against the rules of HTTP: the call may have had its effect',
    cause:
      'The upstream closed the connection, sent what is no answer, or compressed it although that was not asked for.',
    fix: 'Look at the upstream for what it did. Switch compression off there.',
  },
  upstream_redirected: {
    status: 502,
    retryable: false,
    title: 'The upstream answered with a redirect, which is not followed',
    cause: 'The upstream wants the request elsewhere: at another path, with a slash at the end, or over https.',
    fix: 'Call the path that the upstream means, or configure its final URL.',
  },
  upstream_too_large: {
    status: 502,
    retryable: false,
    title: 'The answer of the upstream is over the limit',
    cause: 'The answer is longer than the relay passes on.',
    fix: 'Ask for less at once, or raise the limit of the relay.',
  },
  secret_unavailable: {
    status: 503,
    retryable: true,
    title: 'A secret of the upstream could not be read: nothing was sent',
    cause:
      'The file is missing or open to others, the variable is not set, the program fails, or the secret store refuses. The log names the reference.',
    fix: 'Make the secret readable for the relay. It is read again at the next call.',
  },
  stream_cut: {
    status: 403,
    retryable: false,
    title: 'The answer was cut: its grant was withdrawn or is over, or the enforcement point stops',
    cause: 'The decision point ended the call, or nothing fresh was heard of it for 2 s. `detail` is the reason.',
    fix: 'Look up the reason. Ask for a new task if the grant is over.',
  },
} as const satisfies Record<string, ErrorKind>
