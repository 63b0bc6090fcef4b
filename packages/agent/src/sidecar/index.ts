export { listenPostgres, type PostgresListener, type PostgresOptions } from '../postgres/listen-postgres.ts'
export { problemAnswer } from './answers.ts'
export { type AskedPermission, askPermission } from './ask-permission.ts'
export { connectedSidecar } from './connected.ts'
export {
  acceptAt,
  type FoundPlace,
  type LocalPlace,
  type Loopback,
  listenLoopback,
  listenPlaces,
  mcpPlace,
  mostConnections,
  onlyOfUser,
  serveAt,
  writeAnswer,
} from './loopback.ts'
export { tellsUsers } from './peer-user.ts'
export { relayPlace } from './relay-place.ts'
export { openSidecar, type Sidecar, type SidecarOptions } from './sidecar.ts'
export { isForEntry, type StandingGrant, standingGrant } from './standing-grant.ts'
export { serveStdio } from './stdio.ts'
