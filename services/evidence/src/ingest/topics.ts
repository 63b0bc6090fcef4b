import { type ParkedTopicName, topics } from '@bailiwick/contracts'

/** The topics whose events evidence takes into the log (DESIGN §4). */
export const leafTopics: readonly string[] = topics.filter(({ leaf }) => leaf).map(({ name }) => name)

/** The topics on which services hand over the values that their events hold only as salted hashes. */
export const attachmentTopics: readonly string[] = topics
  .filter(({ erasable }) => erasable === 'by_key')
  .map(({ name }) => name)

/** The topics for messages that evidence could not read. Evidence also reads them, to find where its own chain ended. */
export const parkedTopics = leafTopics.filter((name) => name.endsWith('.parked')) as readonly ParkedTopicName[]
