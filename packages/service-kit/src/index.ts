export { answerTo, unlessAborted } from './answer-to.ts'
export { type Clock, systemClock, type TestClock, testClock } from './clock.ts'
export { readConfig } from './config.ts'
export { after, withDeadline } from './deadline.ts'
export { type DpopNonces, dpopNonces } from './dpop-nonces.ts'
export {
  type DurableFs,
  type DurableHandle,
  ensureDir,
  readFileIfExists,
  replaceFile,
  syncDirectory,
  systemFs,
  type WriteOptions,
  writeFileDurably,
  writeWhole,
} from './durable-file.ts'
export { type Form, type FormLimits, formLimits, parseForm } from './form.ts'
export { type Check, type Failing, Health } from './health.ts'
export { type HttpServerOptions, httpServer } from './http.ts'
export type { MediaType } from './http-body.ts'
export { networkOf } from './http-caller.ts'
export { type HttpLimits, httpLimits, type TlsFiles } from './http-connection.ts'
export { isConfidential, isLocal } from './http-privacy.ts'
export { answerWith, problemOf, sendProblem, serviceErrorOf } from './http-problem.ts'
export type { HttpReply, HttpRequest, HttpServer } from './http-server.ts'
export { StrangerBuckets, type StrangerLimits, type StrangerRate, strangerLimits } from './http-strangers.ts'
export { type IdPrefix, newId, timeOfId } from './ids.ts'
export { inBackground } from './in-background.ts'
export { developerNames, type Env, knownSettings, misspeltSettings } from './known-settings.ts'
export { assertListenerAllowed, assertSocketPath, isLoopback, listenOperator, type Tls } from './listener.ts'
export { lockFile } from './lock-file.ts'
export { type Logger, type LoggerOptions, type LogLevel, logger, logLevels } from './logger.ts'
export { type Metrics, type MetricsOptions, metrics } from './metrics.ts'
export { nodeArguments } from './node-arguments.ts'
export { type ObservedProjection, observeProjection } from './observe-projection.ts'
export { OwnedEntries, type OwnedEntriesOptions } from './owned-entries.ts'
export { isPublicAddress } from './public-address.ts'
export { type QueueBounds, Semaphore, SerialQueue } from './queue.ts'
export { type RandomSource, seededRandom, systemRandom } from './random.ts'
export { type Rated, RateLimiter, type RateLimits } from './rate.ts'
export { readTls } from './read-tls.ts'
export { type Remembered, ReplayMemory } from './replay-memory.ts'
export {
  type Lookup,
  type Post,
  type Posted,
  type SafePost,
  type SafePostOptions,
  safePost,
  safeUrl,
} from './safe-post.ts'
export {
  askSettings,
  type BusSetting,
  commonSettings,
  defaultQuotas,
  duration,
  type GrantStoreSetting,
  keySettings,
  type NotificationFormat,
  notifySettings,
  quotaSettings,
  type ServiceAddress,
  type SinksConfig,
  sinkSettings,
  sinksOf,
  type TlsSetting,
} from './settings.ts'
export { type Standing, showStanding } from './standing.ts'
export { parseStrictJson, parseStrictJsonText, type StrictJson, type StrictJsonOptions } from './strict-json.ts'
export { type SignalHost, untilStopped } from './until-stopped.ts'
