import { type ParkedTopicName, topics } from '@bailiwick/contracts'

/** What evidence takes into the log (DESIGN §4). */
export const leafTopics: readonly string[] = topics.filter(({ leaf }) => leaf).map(({ name }) => name)

/** Where services hand over what their events hold only as salted hashes. */
export const attachmentTopics: readonly string[] = topics
  .filter(({ erasable }) => erasable === 'by_key')
  .map(({ name }) => name)

/** Where evidence puts what it could not read; it follows them too, to find where its own chain ended. */
export const parkedTopics = leafTopics.filter((name) => name.endsWith('.parked')) as readonly ParkedTopicName[]
