export { type BackupMark, backUp, backupMark, restore, settleBackup } from './backup.ts'
export { assertDataUsable } from './data-folder.ts'
export { assertGenesisWhole, type Genesis, genesisStatements, parseGenesis } from './genesis.ts'
export {
  certifiedServiceKey,
  type InitialEntities,
  type InitialiseOptions,
  initialise,
  keyFileNames,
} from './initialise.ts'
export { invitationAddress, invitationFor } from './invitation-address.ts'
export { type NextSteps, nextSteps } from './next-steps.ts'
export { paths } from './paths.ts'
export {
  isPolicyFile,
  type PolicyFiles,
  policyFileNames,
  policySetOf,
  readPolicyFiles,
  storePolicyFiles,
} from './policies.ts'
export { type Installation, isInitialised, readGenesis, readInstallation } from './read-installation.ts'
export { recoveryAddress, recoveryFor } from './recovery-address.ts'
export type { ShownAddress } from './shown-address.ts'
