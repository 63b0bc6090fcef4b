export * from './access-request.ts'
export * from './access-token.ts'
export { decodeBase64url, encodeBase64url, sha256 } from './base64url.ts'
export * from './binding-token.ts'
export * from './caller-assertion.ts'
export * from './canonical.ts'
export * from './client-assertion.ts'
export * from './continuation.ts'
export * from './delegation.ts'
export * from './dpop-proof.ts'
export * from './event-signature.ts'
export * from './genesis-statement.ts'
export { normalizeHtu } from './htu.ts'
export * from './invitation.ts'
export {
  type Algorithm,
  agentAlgorithms,
  type PrivateJwk,
  type PublicJwk,
  parsePublicJwk,
  thumbprint,
} from './jwk.ts'
export { claimedIssuer, claimedKeyId, claimedSubject } from './jws.ts'
export { decodeKeyFile, encodeKeyFile } from './key-file.ts'
export { type CertifiedKey, KeyRing } from './key-ring.ts'
export {
  exportPrivateKey,
  generateKey,
  importPrivateKey,
  jwkSet,
  type KeyPurpose,
  publicKeyOf,
  type SigningKey,
  type VerifyingKey,
  verifyingKey,
} from './keys.ts'
export { keyFilePath, openSnapshotKey, readKeyFile, readKeysSecret, writeKeyFile } from './keys-folder.ts'
export { type Kind, kinds, type Purpose } from './kinds.ts'
export type { Clocked } from './lifetime.ts'
export * from './notification.ts'
export * from './outcome.ts'
export * from './permit.ts'
export { claimsAsOthersDo, readAsOthersDo } from './read-as-others.ts'
export * from './rotating-key.ts'
export { type SaltedText, saltedHash } from './salted-text.ts'
export { readSecretFile, type SecretFileOptions } from './secret-file.ts'
export * from './service-key-certificate.ts'
export { fileSigner, type Signer } from './signer.ts'
export { anchorKey, encodeTrust, parseTrust, signTrust, type Trust } from './trust.ts'
export type { Refused, Verified } from './verified.ts'
