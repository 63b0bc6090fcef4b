import type { ErrorKind } from './error-kind.ts'

/** Requests to a git server that the gateway refuses before anything is decided. Nothing of them reaches the server. */
export const gitErrors = {
  git_service_unknown: {
    status: 404,
    retryable: false,
    title: 'No git repository is served at this path',
    cause:
      'The repository is not among `repositories`, its path is misspelt, or the request is for the dumb protocol, LFS or a web page. `detail` says which.',
    fix: 'Use `git` over HTTPS with the address of the repository below `/git/<name>/`.',
  },
  git_request_malformed: {
    status: 400,
    retryable: false,
    title: 'The request is not what git sends',
    cause:
      'A packet has a wrong length, a line is not part of the protocol, or the commands of a push are followed by something other than a pack. `detail` says which.',
    fix: 'Send the request with git. If git sent it, look for a program in between that changes requests.',
  },
  git_ref_refused: {
    status: 400,
    retryable: false,
    title: 'The name of the ref could be read in more than one way',
    cause:
      'The name does not begin with `refs/`, is longer than 255 characters, or has a character other than letters, digits and `_ + = , # @ . - /`.',
    fix: 'Give the branch or tag a plain name.',
  },
  git_feature_refused: {
    status: 400,
    retryable: false,
    title: 'The request uses a part of the protocol that the gateway does not decide on',
    cause:
      'It pushes several refs at once, is signed, has push options or server options, asks for a pack from elsewhere, or has a capability that the gateway does not know. `detail` says which.',
    fix: 'Push one ref at a time, without options and signature.',
  },
} as const satisfies Record<string, ErrorKind>
