import { topicNamed } from '@bailiwick/contracts'

const dayMs = 24 * 3600 * 1000

/** The contracts' declarations of topics, in the embedded bus's terms. */
export const topicSettings = {
  partitions: (name: string) => topicNamed(name)?.partitions ?? 1,
  retentionMs: (name: string) => {
    const cleanup = topicNamed(name)?.cleanup
    return typeof cleanup === 'object' ? cleanup.retentionDays * dayMs : undefined
  },
  erasable: (name: string) => topicNamed(name)?.erasable,
  /** A head is worthless after two seconds, so it never touches the disk. */
  inMemory: (name: string) => name === 'heads.v1',
}
