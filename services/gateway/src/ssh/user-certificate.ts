import { type KeyObject, sign } from 'node:crypto'
import { keyType, publicBlob, rawOf } from './public-key.ts'
import { sshString, uint32, uint64 } from './wire.ts'

/** The content of one certificate. */
export interface Login {
  /** The 32 bytes of the key that logs in. */
  readonly raw: Uint8Array
  readonly serial: bigint
  /** The id that sshd writes into its log. */
  readonly keyId: string
  /** For the list of names that a host accepts for an account. */
  readonly principal: string
  /** In seconds since the epoch. It is valid from the first second, and no longer in the last. */
  readonly validAfter: number
  readonly validBefore: number
  /** The only command that it runs. */
  readonly command: string
  /** Where connections may come from: addresses with the length of their prefix. */
  readonly sourceAddresses: readonly string[]
}

const certificateType = 'ssh-ed25519-cert-v01@openssh.com'
const ofUser = 1

/**
 * A certificate of OpenSSH for a user (PROTOCOL.certkeys), as a line. It has no extension: no terminal, no forwarding of ports, agents or
 * displays, and no `~/.ssh/rc`.
 */
export function userCertificate(login: Login, ca: KeyObject, random: (n: number) => Uint8Array): string {
  const { raw, serial, keyId, principal, validAfter, validBefore, command, sourceAddresses } = login
  // Options are sorted by name, and each value is a string in a string.
  const critical = Object.entries({ 'force-command': command, 'source-address': sourceAddresses.join(',') }).map(
    ([name, value]) => Buffer.concat([sshString(name), sshString(sshString(value))]),
  )
  const covered = Buffer.concat([
    sshString(certificateType),
    sshString(random(32)),
    sshString(raw),
    uint64(serial),
    uint32(ofUser),
    sshString(keyId),
    sshString(sshString(principal)),
    uint64(BigInt(validAfter)),
    uint64(BigInt(validBefore)),
    sshString(Buffer.concat(critical)),
    sshString(''), // extensions
    sshString(''), // reserved
    sshString(publicBlob(rawOf(ca))),
  ])
  const signature = Buffer.concat([sshString(keyType), sshString(sign(null, covered, ca))])
  return `${certificateType} ${Buffer.concat([covered, sshString(signature)]).toString('base64')}`
}
