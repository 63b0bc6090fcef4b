import { generateKeyPairSync } from 'node:crypto'
import { createSecureContext, type SecureContext } from 'node:tls'
import type { RandomSource } from '@bailiwick/kit'
import { authorityCertificate, serverCertificate } from './certificate.ts'

/** Longer than a grant may last, in ms. */
const lifeMs = 9 * 3600_000
/** Clocks of programs in other namespaces are this one's, but some compare seconds. */
const earlierMs = 5 * 60_000

export interface RunAuthority {
  /** What the program of this run has to trust, as PEM. No other program has a reason to. */
  readonly certificate: string
  /** By this the proxy is a host for the program. Throws for a host that the authority is not for. */
  contextOf(host: string): SecureContext
}

/**
 * A certificate authority for one run. Its keys are in the memory of this process alone, and its certificate says that it is for these names
 * and for no IP address: also a key that were stolen could speak for no other host, and to no other program.
 */
export function runAuthority(
  hosts: readonly string[],
  { now, random }: { now: number; random: RandomSource },
): RunAuthority {
  const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const serial = () => Buffer.from(random(16)).map((byte, at) => (at === 0 ? (byte & 0x3f) | 0x40 : byte))
  const times = { notBefore: now - earlierMs, notAfter: now + lifeMs }
  const own = newKey()
  const name = `bailiwick agent run ${Buffer.from(random(8)).toString('hex')}`
  const certificate = authorityCertificate(
    { ...times, serial: serial(), subject: name, publicKey: own.publicKey, hosts },
    own.privateKey,
  )
  const server = newKey()
  const key = server.privateKey.export({ type: 'pkcs8', format: 'pem' })
  const contexts = new Map(
    hosts.map((host) => {
      const parts = { ...times, serial: serial(), issuer: name, publicKey: server.publicKey }
      const cert = serverCertificate({ ...parts, host, authorityKey: own.publicKey }, own.privateKey)
      return [host, createSecureContext({ key, cert, minVersion: 'TLSv1.2' })] as const
    }),
  )
  return {
    certificate,
    contextOf(host) {
      const context = contexts.get(host)
      if (context === undefined) throw new RangeError('no host of this run')
      return context
    },
  }
}
