import { join } from 'node:path'

/** What stands where in the data directory (DESIGN §10). */
export const paths = (data: string) => ({
  trust: join(data, 'trust.json'),
  genesis: join(data, 'genesis.json'),
  /** Marks a copy of a data directory. */
  backup: join(data, 'backup.json'),
  keys: (holder: string) => join(data, 'keys', holder),
  logKey: join(data, 'keys', 'evidence', 'log.key'),
  policies: (hash: string) => join(data, 'policies', hash),
  /** Asked beside the active set by whoever decides here; a hash never has this name. */
  candidate: join(data, 'policies', 'candidate'),
  bus: join(data, 'bus'),
  grants: join(data, 'grants'),
  evidence: join(data, 'evidence'),
  log: join(data, 'evidence', 'log'),
  logVkey: join(data, 'evidence', 'log.vkey'),
  /** Of standalone, which serves every operator route. */
  operatorSocket: join(data, 'operator.sock'),
  /** Of one service by itself; several instances may share a data directory, but no port. */
  serviceSocket: (service: string, port: number) => join(data, `${service}-${port}.sock`),
})
