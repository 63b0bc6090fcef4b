export { type Approver, type ConsoleState, enrolApprover, type Narrowed } from './approver.ts'
export * from './software-passkey.ts'
export { freePort, type System, type SystemOptions, startSystem } from './start-system.ts'
