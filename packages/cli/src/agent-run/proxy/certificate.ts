import { createHash, type KeyObject, sign } from 'node:crypto'
import {
  bits,
  element,
  explicit,
  implicit,
  integer,
  isTrue,
  objectId,
  octets,
  sequence,
  set,
  time,
  utf8,
} from './der.ts'

const oids = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  commonName: '2.5.4.3',
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  authorityKeyId: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
} as const

interface Parts {
  /** Unpredictable, at most 20 bytes, the first one below 0x80. */
  serial: Uint8Array
  issuer: string
  subject: string
  /** ms since the epoch */
  notBefore: number
  notAfter: number
  publicKey: KeyObject
  extensions: readonly Buffer[]
}

/** A certificate (RFC 5280) with the signature of a key on P-256, as PEM. */
function certificate(
  { serial, issuer, subject, notBefore, notAfter, publicKey, extensions }: Parts,
  signer: KeyObject,
): string {
  const algorithm = sequence(objectId(oids.ecdsaWithSha256))
  const signed = sequence(
    explicit(0, integer(Buffer.from([2]))), // version 3
    integer(serial),
    algorithm,
    nameOf(issuer),
    sequence(time(notBefore), time(notAfter)),
    nameOf(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    explicit(3, sequence(...extensions)),
  )
  const whole = sequence(signed, algorithm, bits(sign('sha256', signed, signer)))
  const lines = whole.toString('base64').match(/.{1,64}/g) ?? []
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
}

const nameOf = (common: string) => sequence(set(sequence(objectId(oids.commonName), utf8(common))))
const critical = (id: string, value: Buffer) => sequence(objectId(id), isTrue, octets(value))
const extension = (id: string, value: Buffer) => sequence(objectId(id), octets(value))
const keyIdOf = (key: KeyObject) =>
  createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest()
    .subarray(0, 20)
const serverAuth = extension(oids.extendedKeyUsage, sequence(objectId(oids.serverAuth)))

export interface AuthorityParts extends Omit<Parts, 'issuer' | 'extensions'> {
  /** The only names that it can certify, and those below them. */
  hosts: readonly string[]
}

/** Of a certificate authority that can certify servers with these names, no IP address, and no further authority. */
export function authorityCertificate({ hosts, ...parts }: AuthorityParts, key: KeyObject): string {
  const permitted = hosts.map((host) => sequence(implicit(2, Buffer.from(host))))
  const everyAddress = [8, 32].map((length) => sequence(implicit(7, Buffer.alloc(length))))
  const extensions = [
    critical(oids.basicConstraints, sequence(isTrue, integer(Buffer.from([0])))),
    critical(oids.keyUsage, bits(Buffer.from([0b100]), 2)), // keyCertSign
    critical(oids.nameConstraints, sequence(explicit(0, ...permitted), explicit(1, ...everyAddress))),
    serverAuth,
    extension(oids.subjectKeyId, octets(keyIdOf(parts.publicKey))),
  ]
  return certificate({ ...parts, issuer: parts.subject, extensions }, key)
}

export interface ServerParts extends Omit<Parts, 'subject' | 'extensions'> {
  host: string
  authorityKey: KeyObject
}

/** Of a server with this name. */
export function serverCertificate({ host, authorityKey, ...parts }: ServerParts, key: KeyObject): string {
  const extensions = [
    critical(oids.basicConstraints, element(0x30)),
    critical(oids.keyUsage, bits(Buffer.from([0b1000_0000]), 7)), // digitalSignature
    serverAuth,
    extension(oids.subjectAltName, sequence(implicit(2, Buffer.from(host)))),
    extension(oids.subjectKeyId, octets(keyIdOf(parts.publicKey))),
    extension(oids.authorityKeyId, sequence(implicit(0, keyIdOf(authorityKey)))),
  ]
  return certificate({ ...parts, subject: 'bailiwick agent run', extensions }, key)
}
