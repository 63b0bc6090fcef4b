import type { Approver, Statement } from '@bailiwick/contracts'
import { jcsHash, sha256 } from '@bailiwick/credentials'

/**
 * base64url SHA-256 of the statement's JCS form (DESIGN §7.2). It is the statement's name. Decoded to its 32 bytes, it is also the
 * challenge that the passkey signs (WebAuthn Level 3 §13.4.3). Changing any member changes the hash.
 */
export function statementHash(statement: Statement): string {
  return jcsHash(statement)
}

/** The WebAuthn challenge of a statement: the 32 bytes of its hash, for `PublicKeyCredentialRequestOptions.challenge`. */
export function statementChallenge(statement: Statement): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.from(statementHash(statement), 'base64url'))
}

/** The id of the grant that an approval creates. Derived, so that one statement makes one grant however often it is sent (V10). */
export function grantIdOf(hash: string): string {
  return `grt_${hash}`
}

/** The id of an access request, derived from the agent's own compact JWS, so that topic and HTTP give the same request the same id. */
export function requestIdOf(agentRequestJws: string): string {
  return `req_${sha256(agentRequestJws)}`
}

/** The id of one part of a request that rules split. It cannot be computed without the agent's JWS, and each part has its own. */
export function itemIdOf(agentRequestJws: string, index: number): string {
  return `req_${sha256(`${agentRequestJws}#${index}`)}`
}

/** The id of a proposed registry change. The nonce keeps two equal proposals apart, because the first may have been denied. */
export function changeRequestId(change: unknown, nonce: string): string {
  return `req_${jcsHash({ change, nonce })}`
}

/**
 * Identifies who could answer and with which passkeys: JCS hash of the sorted pairs of approver id and sorted credential ids. It shows an
 * approver a member or a passkey that was slipped in between rendering and reading.
 */
export function groupHash(group: string, approvers: Iterable<Approver>): string {
  const members = [...approvers]
    .filter((approver) => approver.groups.includes(group))
    .map(({ id, credentials }): [string, string[]] => [id, credentials.map((c) => c.credential_id).sort()])
  return jcsHash(members.sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** Identifies a policy set: JCS hash of its file names, each with the base64url SHA-256 of its bytes. */
export function policySetHash(files: Readonly<Record<string, string>>): string {
  return jcsHash(files)
}
