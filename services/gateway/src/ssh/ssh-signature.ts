import { createHash, verify } from 'node:crypto'
import { keyType, readPublicBlob, verifyingKeyOf } from './public-key.ts'
import { SshReader, sshString, uint32 } from './wire.ts'

const magic = Buffer.from('SSHSIG')
const hashes = ['sha256', 'sha512']
const armor = /^-----BEGIN SSH SIGNATURE-----\n([A-Za-z0-9+/=\n]{1,2048})\n-----END SSH SIGNATURE-----\n?$/

/**
 * Whether this key signed this message in this namespace, as `ssh-keygen -Y sign` does (PROTOCOL.sshsig of OpenSSH). A signature of another kind
 * of key, of a certificate or with another member is none.
 */
export function isSignedBySsh(
  signature: string,
  { raw, namespace, message }: { raw: Uint8Array; namespace: string; message: string },
): boolean {
  const [, base64 = ''] = armor.exec(signature) ?? []
  const reader = new SshReader(Buffer.from(base64, 'base64'))
  if (!reader.bytes(magic.length)?.equals(magic) || !reader.bytes(4)?.equals(uint32(1))) return false
  const signer = readPublicBlob(reader.string() ?? Buffer.alloc(0))
  const said = reader.text()
  const reserved = reader.string()
  const hash = reader.text() ?? ''
  const signed = new SshReader(reader.string() ?? Buffer.alloc(0))
  if (signer === undefined || reserved?.length !== 0 || !reader.isAtEnd) return false
  if (!signer.equals(raw) || said !== namespace || !hashes.includes(hash)) return false
  const kind = signed.text()
  const bytes = signed.string()
  if (kind !== keyType || bytes === undefined || !signed.isAtEnd) return false
  const digest = createHash(hash).update(message).digest()
  const covered = Buffer.concat([magic, ...[namespace, '', hash, digest].map((part) => sshString(part))])
  return verify(null, covered, verifyingKeyOf(raw), bytes)
}
