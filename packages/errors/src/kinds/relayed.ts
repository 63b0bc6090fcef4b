import type { ErrorKind } from './error-kind.ts'

/**
 * What a relay does not pass on, because two servers could read it in two ways. It normalises nothing: the caller has to write the request
 * once, and plainly.
 */
export const relayedErrors = {
  http_version_forbidden: {
    status: 505,
    retryable: false,
    title: 'The request is in a version of HTTP before 1.1',
    cause: 'A proxy in between speaks HTTP/1.0, as nginx does by default, or the request line has no version.',
    fix: 'Send HTTP/1.1. In nginx: `proxy_http_version 1.1`.',
  },
  target_form_forbidden: {
    status: 400,
    retryable: false,
    title: 'The request target is not a path with an optional query',
    cause: 'The request line holds a whole URL, a host, `*`, or a fragment.',
    fix: 'Send the path and the query only.',
  },
  target_too_long: {
    status: 414,
    retryable: false,
    title: 'The request target is over the limit',
    cause: 'Path and query together are longer than 8,192 characters.',
    fix: 'Send long values in the body.',
  },
  path_segment_empty: {
    status: 400,
    retryable: false,
    title: 'The path has an empty segment (`//`)',
    cause: 'Two parts of a URL were joined with a slash each, or a parameter of the path is empty.',
    fix: 'Write one slash between two segments.',
  },
  path_segment_dots: {
    status: 400,
    retryable: false,
    title: 'The path has a segment `.` or `..`',
    cause: 'The client did not resolve a relative path.',
    fix: 'Resolve the path, and send the result.',
  },
  path_character_forbidden: {
    status: 400,
    retryable: false,
    title: 'The path has a character that servers read differently',
    cause: 'The path has a `;`, a backslash, a space, or another character that RFC 3986 does not allow there.',
    fix: 'Escape the character. `;` and the backslash cannot be part of a path here: send such a value in the query or the body.',
  },
  path_escape_forbidden: {
    status: 400,
    retryable: false,
    title: 'The path escapes what some servers take for a separator, or has a `%` that is no escape',
    cause: 'The path escapes `/`, `.`, `;`, `?`, `#`, a backslash or a control character, or escapes twice (`%252F`).',
    fix: 'Send such a value in the query or the body. Escape once.',
  },
  path_escape_needless: {
    status: 400,
    retryable: false,
    title: 'The path escapes a character that needs no escape',
    cause: 'A letter, a digit, `-`, `_` or `~` is escaped.',
    fix: 'Write the character itself.',
  },
  path_escape_case: {
    status: 400,
    retryable: false,
    title: 'An escape of the path is not written with capital letters',
    cause: 'The client writes `%c3` instead of `%C3`.',
    fix: 'Write escapes with capital letters (RFC 3986 §2.1), as `encodeURIComponent` does.',
  },
  path_encoding_unknown: {
    status: 400,
    retryable: false,
    title: 'The escapes of the path are not UTF-8',
    cause: 'The client escapes bytes of another encoding, or an overlong form.',
    fix: 'Escape the bytes of UTF-8.',
  },
  query_not_canonical: {
    status: 400,
    retryable: false,
    title: 'The query has an escape or a character that servers read differently',
    cause:
      'The query has a `+`, a `;`, an escape with small letters or of a letter, or a parameter whose name has other characters than letters, digits, `-`, `_` and `.` (and `$` in front), or that names another method (`_method`).',
    fix: 'Write `%20` for a space and `%2B` for a plus, separate parameters by `&`, and escape as `encodeURIComponent` does.',
  },
  query_name_repeated: {
    status: 400,
    retryable: false,
    title: 'The query names a parameter twice',
    cause: 'Two parameters have the same name, or names that differ only in case, or in `.` for `_`.',
    fix: 'Send each parameter once. Send a list in the body.',
  },
  header_framing_ambiguous: {
    status: 400,
    retryable: false,
    title: 'Content-Length and Transfer-Encoding leave open where the body ends',
    cause:
      'Both are there, one of them twice, or a coding other than `chunked`. This is also how requests are smuggled.',
    fix: 'Send one of the two, once. If you did not write them, look at the proxies in between.',
  },
  header_connection_forbidden: {
    status: 400,
    retryable: false,
    title: 'Connection names a header field, which the next server would then drop',
    cause: 'The `Connection` header has something other than `close`, `keep-alive` and `te`.',
    fix: 'Remove it from `Connection`.',
  },
  header_repeated: {
    status: 400,
    retryable: false,
    title: 'A header field comes twice',
    cause: 'The client, or a proxy in between, adds a field that is there already.',
    fix: 'Send each field once, with a list as one value.',
  },
  header_te_forbidden: {
    status: 400,
    retryable: false,
    title: 'TE asks for something other than trailers',
    cause: 'The client asks for a transfer coding of the answer.',
    fix: 'Leave `TE` out.',
  },
  header_name_forbidden: {
    status: 400,
    retryable: false,
    title: 'The name of a header field is one that servers read differently',
    cause: 'The name has an underscore, which some servers take for a hyphen, or a character that no name has.',
    fix: 'Use a name of letters, digits and hyphens.',
  },
  header_value_forbidden: {
    status: 400,
    retryable: false,
    title: 'The value of a header field has a character that servers read differently',
    cause:
      'The value has a tab, a control character or one beyond ASCII, or a `Content-Type` that is not one media type.',
    fix: 'Use visible ASCII and spaces.',
  },
  header_forbidden: {
    status: 400,
    retryable: false,
    title: 'A header field is not passed on here',
    cause:
      'It is `Expect`, `Upgrade`, `Trailer`, `Range`, or a field that overrides the method or the target. `detail` names it.',
    fix: 'Leave the field out. Send the method and the target in the request line.',
  },
  trailers_forbidden: {
    status: 400,
    retryable: false,
    title: 'The request has trailers',
    cause: 'The chunked body ends with header fields.',
    fix: 'Send these fields before the body.',
  },
  content_encoding_forbidden: {
    status: 415,
    retryable: false,
    title: 'The body is encoded, so that no decision can be made on it',
    cause: 'The client compresses the body.',
    fix: 'Send it uncompressed.',
  },
  form_malformed: {
    status: 400,
    retryable: false,
    title: 'The form can be read in several ways',
    cause:
      'A field occurs twice, its name has other characters than letters, digits, `-` and `_`, it names another method (`_method`), or an escape is broken or not UTF-8.',
    fix: 'Send each field once, under a plain name. Send lists and objects as JSON.',
  },
  json_keys_alike: {
    status: 400,
    retryable: false,
    title: 'Two keys of one object differ only in case or in the form of their characters',
    cause: 'An object has `amount` and `Amount`, for example. Some servers take them for the same key.',
    fix: 'Send one of them.',
  },
} as const satisfies Record<string, ErrorKind>
