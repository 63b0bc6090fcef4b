/** One row of the table of errors. None of its texts holds a secret: all of them leave the process or stand on a page. */
export interface ErrorKind {
  /** The HTTP status of its problem document (RFC 9457). */
  status: number
  /** Whether the same call, repeated, can succeed. */
  retryable: boolean
  /** One line for a person. It leaves the process. */
  title: string
  /** What usually brings it about, in sentences. On the page of errors only. */
  cause: string
  /** What the caller or the operator does about it, in sentences. On the page of errors only. */
  fix: string
}
