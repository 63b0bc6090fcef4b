export { type ExitCode, exitCodes, type Io } from './io.ts'
export { type LogSource, logSource } from './log-source.ts'
export { run } from './run.ts'
export { type LogFault, type LogReport, type VerifyOptions, verifyLog } from './verify-log.ts'
