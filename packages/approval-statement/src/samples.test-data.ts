import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign, type webcrypto } from 'node:crypto'
import type { Agent, ApprovalStatement, Approver, Assertion, Rule, Statement } from '@bailiwick/contracts'
import { jcsHash } from '@bailiwick/credentials'
import { isoCBOR } from '@simplewebauthn/server/helpers'
import { buildApprovalStatement } from './build-statement.ts'
import { statementHash } from './statement-hash.ts'
import type { ApprovalTrust } from './verify-signers.ts'

export const trust: ApprovalTrust = {
  installation: 'ins_0123456789',
  rp_id: 'console.example',
  origins: ['https://console.example', 'https://console.example:8443'],
  single_operator: false,
}
export const now = Date.parse('2026-11-24T12:00:00.000Z')

type CBORType = Parameters<typeof isoCBOR.encode>[0]

/** The forgeries that a hostile browser or authenticator may try; members that are not set stay correct. */
export interface Forged {
  type?: string
  challenge?: string
  origin?: string
  /** Additional members of the client data. */
  more?: Record<string, unknown>
  /** The whole client data. */
  clientData?: string
  rpId?: string
  flags?: number
  signCount?: number
  /** Bytes after the authenticator data. */
  extra?: Buffer
  /** For a registration. */
  fmt?: string
  attStmt?: Map<string, CBORType>
  credentialId?: string
  coseKey?: Buffer
}

export type PasskeyAlgorithm = 'ES256' | 'EdDSA' | 'RS256'

export interface TestPasskey {
  record: Approver['credentials'][number]
  sign(statement: Statement, forged?: Forged): Assertion
  /** A RegistrationResponseJSON. */
  register(challenge: string, forged?: Forged): RegistrationResponse
}

interface RegistrationResponse {
  id: string
  rawId: string
  type: 'public-key'
  clientExtensionResults: object
  response: { clientDataJSON: string; attestationObject: string }
}

/** A passkey built by hand, because no authenticator behaves like an attacker. */
export function aPasskey(algorithm: PasskeyAlgorithm = 'ES256'): TestPasskey {
  const { privateKey, publicKey } = newKeyPair(algorithm)
  const coseKey = coseOf(publicKey.export({ format: 'jwk' }))
  const id = randomBytes(32)
  const record = {
    credential_id: id.toString('base64url'),
    public_key: coseKey.toString('base64url'),
    sign_count: 0,
    registered_at: '2026-11-01T00:00:00.000Z',
  }
  return {
    record,
    sign: (statement, forged = {}) => {
      const clientData = clientDataOf({ type: 'webauthn.get', challenge: statementHash(statement), ...forged })
      const authenticatorData = authenticatorDataOf(forged)
      const signed = Buffer.concat([authenticatorData, sha256(clientData)])
      return {
        credential_id: record.credential_id,
        authenticator_data: authenticatorData.toString('base64url'),
        client_data_json: Buffer.from(clientData).toString('base64url'),
        signature: sign(algorithm === 'EdDSA' ? null : 'sha256', signed, privateKey).toString('base64url'),
      }
    },
    register: (challenge, forged = {}) => {
      const { fmt = 'none', attStmt = new Map(), credentialId = record.credential_id } = forged
      const key = forged.coseKey ?? coseKey
      // WebAuthn Level 3 §6.5.2: AAGUID, length of the credential id, the credential id, the COSE key.
      const attested = Buffer.concat([Buffer.alloc(16), Buffer.from([0, id.length]), id, key])
      const authData = authenticatorDataOf({ flags: 0x5d, extra: attested, ...forged })
      const attestation = isoCBOR.encode(
        new Map<string, CBORType>([
          ['fmt', fmt],
          ['attStmt', attStmt],
          ['authData', Uint8Array.from(authData)],
        ]),
      )
      return {
        id: credentialId,
        rawId: credentialId,
        type: 'public-key',
        clientExtensionResults: {},
        response: {
          clientDataJSON: Buffer.from(clientDataOf({ type: 'webauthn.create', challenge, ...forged })).toString(
            'base64url',
          ),
          attestationObject: Buffer.from(attestation).toString('base64url'),
        },
      }
    },
  }
}

function newKeyPair(algorithm: PasskeyAlgorithm): { privateKey: KeyObject; publicKey: KeyObject } {
  if (algorithm === 'ES256') return generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return algorithm === 'EdDSA' ? generateKeyPairSync('ed25519') : generateKeyPairSync('rsa', { modulusLength: 2048 })
}

/** RFC 9053 §7, RFC 8230 §4. */
function coseOf({ kty, x, y, n, e }: webcrypto.JsonWebKey): Buffer {
  const bytes = (base64url: string | undefined) => Uint8Array.from(Buffer.from(base64url ?? '', 'base64url'))
  const members: Record<string, [number, CBORType][]> = {
    EC: [
      [1, 2],
      [3, -7],
      [-1, 1],
      [-2, bytes(x)],
      [-3, bytes(y)],
    ],
    OKP: [
      [1, 1],
      [3, -8],
      [-1, 6],
      [-2, bytes(x)],
    ],
    RSA: [
      [1, 3],
      [3, -257],
      [-1, bytes(n)],
      [-2, bytes(e)],
    ],
  }
  return Buffer.from(isoCBOR.encode(new Map(members[kty ?? ''])))
}

function clientDataOf({ clientData, type, challenge, origin = trust.origins[0], more }: Forged): string {
  return clientData ?? JSON.stringify({ type, challenge, origin, crossOrigin: false, ...more })
}

/** WebAuthn Level 3 §6.1; the default flags are present, verified, backup eligible and backed up. */
function authenticatorDataOf({ rpId = trust.rp_id, flags = 0x1d, signCount = 0, extra }: Forged): Buffer {
  const tail = Buffer.alloc(5)
  tail.writeUInt8(flags)
  tail.writeUInt32BE(signCount, 1)
  return Buffer.concat([sha256(rpId), tail, extra ?? Buffer.alloc(0)])
}

export function anApprover(id: string, groups: string[], ...passkeys: TestPasskey[]): Approver {
  return { id, name: id, groups, credentials: passkeys.map(({ record }) => record) }
}

export const byId = <T extends { id: string }>(...entities: T[]): ReadonlyMap<string, T> =>
  new Map(entities.map((entity) => [entity.id, entity]))

export const agent: Agent = {
  id: 'spiffe://acme.example/agent/ledger',
  name: 'Ledger agent',
  owner: 'olga',
  attestor: {
    kind: 'registered_key',
    keys: [
      {
        instance: 'one',
        jwk: { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' },
      },
    ],
  },
  labels: [],
  proactive_requests: true,
}

export function aRule(over: Partial<Rule> = {}): Rule {
  return {
    id: 'finance',
    order: 10,
    match: { agents: [agent.id] },
    approvers: { group: 'finance', quorum: 1 },
    owner_may_approve: false,
    modes: ['per_action', 'window'],
    max_window_seconds: 3600,
    narrowing: true,
    ...over,
  }
}

export const authority = {
  type: 'bailiwick_task' as const,
  task: 'reconcile',
  permissions: [{ actions: ['tools/call'], resource: { type: 'tool', id: 'invoices.read' } }],
  budget: { calls: 20 },
}

export function aStatement(
  over: Partial<Parameters<typeof buildApprovalStatement>[0]> & { approvers: Iterable<Approver> },
): ApprovalStatement {
  return buildApprovalStatement({
    installation: trust.installation,
    request_id: 'req_01234567890123456789',
    request_hash: jcsHash('request'),
    agent: `${agent.id}/one`,
    instance_key: jcsHash('key'),
    rebind: 'none',
    authority,
    mode: 'window',
    not_before: iso(now),
    not_after: iso(now + 1800_000),
    rule: aRule(),
    policy_set: jcsHash('policies'),
    manifests: { erp: jcsHash('manifest') },
    as_of: 7,
    nonce: 'AAAAAAAAAAAAAAAAAAAAAA',
    now,
    ...over,
  })
}

export const iso = (ms: number): string => new Date(ms).toISOString()

function sha256(data: string): Buffer {
  return createHash('sha256').update(data).digest()
}
