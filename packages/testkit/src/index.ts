export {
  type Approver,
  type ConsoleState,
  enrolApprover,
  type Invitee,
  type Narrowed,
  recoverApprover,
} from '@bailiwick/standalone/approver'
export * from '@bailiwick/standalone/software-passkey'
export { type Front, openFront } from './front.ts'
export type { Line } from './line.ts'
export { missingParts, type RealKafka, type RealRedis, realKafka, realRedis } from './real-parts.ts'
export { freePort, type Place, type PlaceOptions, preparePlace, type RunningSystem } from './running-system.ts'
export { ServiceProcess } from './service-process.ts'
export { type Processes, type ProcessesOptions, startProcesses } from './start-processes.ts'
export { type System, type SystemOptions, startSystem } from './start-system.ts'
