import { join } from 'node:path'

/** What stands where in the data directory (DESIGN §10). */
export const paths = (data: string) => ({
  trust: join(data, 'trust.json'),
  genesis: join(data, 'genesis.json'),
  /** Holds the address of the invitation (0600), where no terminal was there to print it on. */
  invitation: join(data, 'invitation.txt'),
  /** Holds the address of a recovery (0600), where no terminal was there to print it on. */
  recovery: (id: string) => join(data, `${id}.txt`),
  /** Marks a copy of a data directory. */
  backup: join(data, 'backup.json'),
  keys: (holder: string) => join(data, 'keys', holder),
  logKey: join(data, 'keys', 'evidence', 'log.key'),
  policies: (hash: string) => join(data, 'policies', hash),
  /** Asked beside the active set by whoever decides here; a hash never has this name. */
  candidate: join(data, 'policies', 'candidate'),
  bus: join(data, 'bus'),
  /** Held by the process whose embedded bus it is. */
  busLock: join(data, 'bus', 'process.lock'),
  grants: join(data, 'grants'),
  evidence: join(data, 'evidence'),
  log: join(data, 'evidence', 'log'),
  /** Held by the process that writes the log. */
  logLock: join(data, 'evidence', 'log.lock'),
  logVkey: join(data, 'evidence', 'log.vkey'),
  /** Of standalone, which serves every operator route. */
  operatorSocket: join(data, 'operator.sock'),
  /** Of one service by itself; several instances may share a data directory, but no port. */
  serviceSocket: (service: string, port: number) => join(data, `${service}-${port}.sock`),
})
