export { answerTo, unlessAborted } from './answer-to.ts'
export { type Clock, systemClock, type TestClock, testClock } from './clock.ts'
export { abortedAfter, after, withDeadline } from './deadline.ts'
export {
  type DurableFs,
  type DurableHandle,
  ensureDir,
  readFileIfExists,
  removeUnfinished,
  replaceFile,
  syncDirectory,
  systemFs,
  type WriteOptions,
  writeFileDurably,
  writeWhole,
} from './durable-file.ts'
export { GatheredBytes } from './gathered-bytes.ts'
export { type IdPrefix, newId, timeOfId } from './ids.ts'
export { inBackground } from './in-background.ts'
export {
  fold,
  JsonMalformed,
  parseJson,
  parseStrictJson,
  readJsonView,
  readStrictJson,
  readStrictJsonText,
  type StrictJson,
  type StrictJsonOptions,
} from './json/index.ts'
export { lockFile } from './lock-file.ts'
export { lookAlikes } from './look-alikes.ts'
export { getOrInsert, groupBy } from './maps.ts'
export { OwnedEntries, type OwnedEntriesOptions } from './owned-entries.ts'
export { printable } from './printable.ts'
export { isPublicAddress } from './public-address.ts'
export { type QueueBounds, Semaphore, SerialQueue } from './queue.ts'
export { type RandomSource, seededRandom, systemRandom } from './random.ts'
export { type Rated, RateLimiter, type RateLimits } from './rate.ts'
export { fieldsOf, type RawHeaders } from './raw-headers.ts'
export { type Remembered, ReplayMemory } from './replay-memory.ts'
export { type MessageVisitor, TypedMessages } from './typed-messages.ts'
export { withResolvers } from './with-resolvers.ts'
