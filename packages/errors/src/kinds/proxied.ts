import type { ErrorKind } from './error-kind.ts'

/** Requests to an HTTP API that the gateway refuses before anything is decided. No part of them reaches the API. */
export const proxiedErrors = {
  operation_unmapped: {
    status: 404,
    retryable: false,
    title: 'The method and path are no operation of the API, and no grant can allow them',
    cause: 'The path is misspelt, or `operations` in `gateway.yaml` has no such operation.',
    fix: 'Use an operation that is there, or have the operator add this one, and people approve it.',
  },
  operation_ambiguous: {
    status: 400,
    retryable: false,
    title: 'A part of the path is named like another operation, in other letters',
    cause:
      'It differs from that operation only in case or in the form of its characters. Some servers take both for the same.',
    fix: 'Write the path of the operation that you mean.',
  },
  operation_argument_spelling: {
    status: 400,
    retryable: false,
    title: 'An argument in the path is not spelled as `encodeURIComponent` spells it',
    cause: 'A character such as `:`, `@`, `=` or `+` is not escaped. Some servers read more than a value in it.',
    fix: 'Escape each argument with `encodeURIComponent` or its like.',
  },
  operation_member_unmapped: {
    status: 400,
    retryable: false,
    title: 'The request has something that the operation does not have',
    cause:
      'A parameter of the query, a member of the body, or the body itself is not named in `operations`, or is named like another argument.',
    fix: 'Leave it out, or have the operator add it to the operation, and people approve it.',
  },
} as const satisfies Record<string, ErrorKind>
