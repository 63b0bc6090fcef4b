import type { ErrorKind } from './error-kind.ts'

/** The log, its words and its witnesses. */
export const logErrors = {
  log_unknown: {
    status: 404,
    retryable: false,
    title: 'The witness does not know this log',
    cause: 'The witness has no policy for the origin of this checkpoint.',
    fix: 'Add the log’s key to the configuration of the witness.',
  },
  checkpoint_untrusted: {
    status: 403,
    retryable: false,
    title: 'The checkpoint is not signed by a key of its log, or such a signature does not verify',
    cause: 'The log signs with another key than the one that the witness was given.',
    fix: 'Compare the log’s key with `trust.json`. If the key is right, someone else signs for this log: find out who.',
  },
  checkpoint_inconsistent: {
    status: 422,
    retryable: false,
    title: 'The checkpoint is not proved to extend the last one that was cosigned',
    cause: 'The log was rewritten or put back from a copy, or the proof is for other sizes.',
    fix: 'Compare both checkpoints with `bailiwick verify`. Treat it as an attack until you know the cause.',
  },
  log_inconsistent: {
    status: 500,
    retryable: false,
    title: 'The log does not agree with itself',
    cause: 'Files of the log were changed, lost, or put back from an older copy.',
    fix: 'Stop evidence, keep the folder as it is, and follow the page on backup.',
  },
  log_locked: {
    status: 503,
    retryable: false,
    title: 'Another process writes this log',
    cause: 'A second evidence service uses the same folder.',
    fix: 'Stop one of them, or give it a folder of its own.',
  },
  value_altered: {
    status: 500,
    retryable: false,
    title: 'A kept value is not the one that its event committed to',
    cause: 'A file below `values/` was changed after it was written.',
    fix: 'Find out who changed it. The log itself is whole; the value proves nothing any more.',
  },
  value_contradicted: {
    status: 409,
    retryable: false,
    title: 'A kept call is not the one that its event tells of',
    cause: 'The producer kept another call than the one whose hash it signed.',
    fix: 'Treat the producer as compromised until you know the cause. The proof is given without this call.',
  },
  value_gone: {
    status: 410,
    retryable: false,
    title: 'The value was erased, or was never kept here',
    cause: 'The words were erased, or calls are not kept (`BAILIWICK_KEEP_CALLS`).',
    fix: 'Prove without it: leave it out of `--reveal`.',
  },
  witness_locked: {
    status: 503,
    retryable: false,
    title: 'Another process is this witness',
    cause: 'A second `bailiwick witness` uses the same folder.',
    fix: 'Stop one of them.',
  },
  witness_state_invalid: {
    status: 500,
    retryable: false,
    title: 'What the witness remembers is missing, or not what it wrote: it must not cosign without',
    cause: 'The folder of the witness was changed, or is not all there.',
    fix: 'Put the newest state back. If it is lost, make a new witness with a new key: the old one could cosign a fork.',
  },
} as const satisfies Record<string, ErrorKind>
