export { type ExitCode, exitCodes, type Io } from './io.ts'
export { operatorOf } from './operator-client.ts'
export { parseRegistry } from './registry-file.ts'
export { run } from './run.ts'
