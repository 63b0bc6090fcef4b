import { topicNamed } from '@bailiwick/contracts'

const dayMs = 24 * 3600 * 1000

/** Topics as contracts declare them, in the embedded bus's terms. */
export const topicSettings = {
  partitions: (name: string) => topicNamed(name)?.partitions ?? 1,
  retentionMs: (name: string) => {
    const cleanup = topicNamed(name)?.cleanup
    return typeof cleanup === 'object' ? cleanup.retentionDays * dayMs : undefined
  },
  erasable: (name: string) => topicNamed(name)?.erasable,
  /** A head is worth nothing after two seconds: it never touches the disk. */
  inMemory: (name: string) => name === 'heads.v1',
}
