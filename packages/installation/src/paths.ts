import { join } from 'node:path'

/** The layout of the data directory (DESIGN §10). */
export const paths = (data: string) => ({
  trust: join(data, 'trust.json'),
  genesis: join(data, 'genesis.json'),
  /** Contains the address of the invitation (0600), if there was no terminal to print it on. */
  invitation: join(data, 'invitation.txt'),
  /** Contains the address of a recovery (0600), if there was no terminal to print it on. */
  recovery: (id: string) => join(data, `${id}.txt`),
  /** Marks a copy of a data directory. */
  backup: join(data, 'backup.json'),
  keys: (holder: string) => join(data, 'keys', holder),
  logKey: join(data, 'keys', 'evidence', 'log.key'),
  policies: (hash: string) => join(data, 'policies', hash),
  /** The candidate set that the decision points here evaluate next to the active set; a hash never has this name. */
  candidate: join(data, 'policies', 'candidate'),
  bus: join(data, 'bus'),
  /** Held by the process that runs the embedded bus. */
  busLock: join(data, 'bus', 'process.lock'),
  grants: join(data, 'grants'),
  /** A service's folded state, for its next start (decision 86). It may be deleted at any time. */
  snapshots: join(data, 'snapshots'),
  evidence: join(data, 'evidence'),
  log: join(data, 'evidence', 'log'),
  /** Held by the process that writes the log. */
  logLock: join(data, 'evidence', 'log.lock'),
  logVkey: join(data, 'evidence', 'log.vkey'),
  /** The socket of standalone, which serves every operator route. */
  operatorSocket: join(data, 'operator.sock'),
  /** The socket of one separate service; several instances may share a data directory, but not a port. */
  serviceSocket: (service: string, port: number) => join(data, `${service}-${port}.sock`),
})
