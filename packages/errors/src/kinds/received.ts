import type { ErrorKind } from './error-kind.ts'

/** What a caller sent cannot be taken as it is. */
export const receivedErrors = {
  request_malformed: {
    status: 400,
    retryable: false,
    title: 'The request does not match its schema',
    cause: 'A member is missing, unknown, or of another form than its schema says. `detail` names the member.',
    fix: 'Correct the member that `detail` names.',
  },
  json_malformed: {
    status: 400,
    retryable: false,
    title: 'The body is not strict JSON',
    cause: 'The text is not JSON, repeats a name in one object, nests deeper than 32 levels, or has a lone surrogate.',
    fix: 'Send what a JSON library writes, in UTF-8.',
  },
  content_type_unsupported: {
    status: 415,
    retryable: false,
    title: 'The content type is not accepted here',
    cause: 'The `Content-Type` is missing or another one, or the body is compressed.',
    fix: 'Send `application/json`, or at OAuth endpoints `application/x-www-form-urlencoded`, uncompressed.',
  },
  body_too_large: {
    status: 413,
    retryable: false,
    title: 'The body is over the limit',
    cause: 'The body is longer than this path takes.',
    fix: 'Send less in one request: shorter texts, or fewer evaluations or outcomes.',
  },
  route_unknown: {
    status: 404,
    retryable: false,
    title: 'There is nothing at this path',
    cause: 'The path is misspelt, belongs to another service, or the console is not built.',
    fix: 'Compare the path with the page of this service. If services run as separate processes, ask the one that owns it.',
  },
  host_unknown: {
    status: 421,
    retryable: false,
    title: 'The request is for another host',
    cause: 'The `Host` header is neither the public address, nor a loopback name, nor one of `BAILIWICK_HOSTS`.',
    fix: 'Call the public address. If callers know this process by another name, list it in `BAILIWICK_HOSTS`.',
  },
  method_not_allowed: {
    status: 405,
    retryable: false,
    title: 'The path does not take this method',
    cause: 'The path exists, with other methods.',
    fix: 'Use a method that the `Allow` header lists.',
  },
  request_timed_out: {
    status: 408,
    retryable: true,
    title: 'The request did not arrive in time',
    cause: 'The client or the network sent the request too slowly.',
    fix: 'Send it again. If it happens often, look at the network between client and service.',
  },
  headers_too_large: {
    status: 431,
    retryable: false,
    title: 'The header fields are over the limit',
    cause: 'Together the header fields are longer than the server reads. A proxy may have added some.',
    fix: 'Send fewer or shorter header fields.',
  },
  event_malformed: {
    status: 400,
    retryable: false,
    title: 'The event does not match its schema',
    cause:
      'A member of the event is wrong, its key is not the key of its message, or its signature is not its last member.',
    fix: 'Compare the event with the page of its topic, and with the vectors in `test/vectors/events`.',
  },
  event_too_large: {
    status: 413,
    retryable: false,
    title: 'The event is over 65,535 bytes',
    cause: 'The texts or arguments in one event are too long.',
    fix: 'Shorten the purpose, the authority or the arguments.',
  },
  event_type_unknown: {
    status: 400,
    retryable: false,
    title: 'The event type does not belong to its topic',
    cause: 'The type is misspelt, stands on another topic, or is newer than its reader.',
    fix: 'Compare the type with the page of the topic. After an update, follow the changelog’s upgrade order.',
  },
  authority_malformed: {
    status: 400,
    retryable: false,
    title: 'The authority does not match its schema',
    cause: 'A member of the authority has a wrong form, or the authority is over 8,192 bytes of JSON.',
    fix: 'Correct the member that `detail` names. The authority language has a page with examples.',
  },
  authority_not_understood: {
    status: 400,
    retryable: false,
    title: 'The authority has a member that is not understood',
    cause:
      'A member is misspelt, or newer than this service. A limit that is not understood cannot be kept, so it is refused.',
    fix: 'Remove or correct the member that `detail` points to.',
  },
  prefix_not_a_path: {
    status: 400,
    retryable: false,
    title: 'A prefix in the authority looks like a path, but is no boundary for paths',
    cause: 'The prefix looks like a path and does not end in `/`, so it would also cover siblings that begin alike.',
    fix: 'End the prefix with `/`.',
  },
} as const satisfies Record<string, ErrorKind>
