export { type DpopNonces, dpopNonces } from './http/dpop-nonces.ts'
export { type Form, type FormLimits, formLimits, parseForm } from './http/form.ts'
export { type GrpcCall, type GrpcMethod, type GrpcServer, grpcServer } from './http/grpc-server.ts'
export { type HttpServerOptions, httpServer } from './http/http.ts'
export type { MediaType } from './http/http-body.ts'
export { callerOf, networkOf } from './http/http-caller.ts'
export { type HttpLimits, httpLimits, type TlsFiles, takeTime } from './http/http-connection.ts'
export { isConfidential, isLocal } from './http/http-privacy.ts'
export { answerWith, problemOf, sendProblem, serviceErrorOf } from './http/http-problem.ts'
export type { HttpReply, HttpRequest, HttpServer } from './http/http-server.ts'
export { StrangerBuckets, type StrangerLimits, type StrangerRate, strangerLimits } from './http/http-strangers.ts'
export { type UpgradableConnection, upgradable } from './http/http-upgrades.ts'
export { isLoopback, type Tls } from './http/listener.ts'
export { readTls } from './http/read-tls.ts'
export { type Check, type Failing, Health } from './observe/health.ts'
export { type Logger, type LoggerOptions, type LogLevel, logger, logLevels } from './observe/logger.ts'
export { type Metrics, type MetricsOptions, metrics } from './observe/metrics.ts'
export { type ObservedProjection, observeProjection } from './observe/observe-projection.ts'
export { type Standing, showStanding } from './observe/standing.ts'
export {
  type Lookup,
  type Post,
  type Posted,
  type SafePost,
  type SafePostOptions,
  safePost,
  safeUrl,
} from './outgoing/safe-post.ts'
export { nodeArguments } from './process/node-arguments.ts'
export {
  openServers,
  publicUrlOf,
  type ServerSettings,
  type Servers,
  type ServersOptions,
} from './process/open-servers.ts'
export { runProcess } from './process/run-process.ts'
export { type SignalHost, untilStopped } from './process/until-stopped.ts'
export { readConfig } from './settings/config.ts'
export { developerNames, type Env, knownSettings, misspeltSettings } from './settings/known-settings.ts'
export { type Fault, schemaFaults } from './settings/schema-faults.ts'
export { type DescribedSetting, describedSettings, setting } from './settings/setting.ts'
export {
  type BusSetting,
  duration,
  flag,
  type GrantStoreSetting,
  port,
  type ServiceAddress,
  type TlsSetting,
} from './settings/setting-values.ts'
export {
  askSettings,
  commonSettings,
  decisionSettings,
  defaultCompareOneIn,
  defaultDecisionDeadlineMs,
  defaultQuotas,
  engineSettings,
  issuerSettings,
  logSettings,
  type NotificationFormat,
  notifySettings,
  type SinksConfig,
  sinkSettings,
  sinksOf,
} from './settings/settings.ts'
