import type { ErrorKind } from './error-kind.ts'

/** Requests to a git server that the gateway refuses before anything is decided. Nothing of them reaches the server. */
export const gitErrors = {
  git_service_unknown: {
    status: 404,
    retryable: false,
    title: 'The path is no service of a git repository that is served here',
    cause:
      'The repository is not among `repositories`, its path is misspelt, or the request is one of the dumb protocol, of LFS, or of a web page. `detail` says which part.',
    fix: 'Use `git` over HTTPS with the address of the repository below `/git/<name>/`.',
  },
  git_request_malformed: {
    status: 400,
    retryable: false,
    title: 'The request is not what git sends',
    cause:
      'A packet has a wrong length, a command or a line is not one of the protocol, or something else than a pack follows the commands of a push. `detail` says which part.',
    fix: 'Send it with git, and look for a program in between that changes requests.',
  },
  git_ref_refused: {
    status: 400,
    retryable: false,
    title: 'The name of the ref could be read in more than one way',
    cause:
      'The name does not begin with `refs/`, is longer than 255 characters, or has other characters than letters, digits and `_ + = , # @ . - /`.',
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
