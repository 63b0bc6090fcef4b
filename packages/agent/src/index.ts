export {
  exportPrivateKey,
  generateKey,
  importPrivateKey,
  type PublicJwk,
  parseTrust,
  publicKeyOf,
  readKeyFile,
  type SigningKey,
  type Trust,
  type VerifyingKey,
  writeKeyFile,
} from '@bailiwick/credentials'
export { type ErrorCode, errorCode, ServiceError } from '@bailiwick/errors'
export type { AccessItem, AccessTask } from './access-requests.ts'
export { type Agent, type AgentOptions, createAgent } from './agent.ts'
export { type CallbackNews, verifyCallback } from './callback.ts'
export type { Credential, GrantName } from './credentials.ts'
export type { DelegationAsk, SignedDelegation } from './delegate.ts'
export { type Denial, denialOf } from './denial.ts'
export type { Endpoints } from './endpoints.ts'
export type { GrantState } from './grant-state.ts'
export { mcpFetch } from './mcp-fetch.ts'
export type { AccessAsk, Callback, SignedRequest } from './sign-request.ts'
export type { SignedCall } from './signed-fetch.ts'
export {
  joinToken,
  type Taker,
  type TokenSource,
  tokenFiles,
  type WorkloadAttestation,
  workloadKey,
} from './workload.ts'
