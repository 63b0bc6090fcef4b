import { createPublicKey } from 'node:crypto'
import { encodeBase64url, sha256 } from './base64url.ts'
import { makeDpopProof } from './dpop-proof.ts'
import {
  signAccessRequest,
  signAccessToken,
  signBindingToken,
  signCallerAssertion,
  signClientAssertion,
  signContinuation,
  signDelegation,
  signEvent,
  signGenesisStatement,
  signInvitation,
  signNotification,
  signOutcome,
  signPermit,
  signServiceKeyCertificate,
  verifyAccessRequest,
  verifyAccessToken,
  verifyBindingToken,
  verifyCallerAssertion,
  verifyClientAssertion,
  verifyContinuation,
  verifyDelegation,
  verifyDpopProof,
  verifyEventSignature,
  verifyGenesisStatement,
  verifyInvitation,
  verifyNotification,
  verifyOutcome,
  verifyPermit,
  verifyServiceKeyCertificate,
} from './index.ts'
import {
  exportPrivateKey,
  generateKey,
  importPrivateKey,
  type KeyPurpose,
  publicKeyOf,
  type SigningKey,
  type VerifyingKey,
} from './keys.ts'
import type { Kind } from './kinds.ts'
import { signTrust, type Trust } from './trust.ts'
import type { Verified } from './verified.ts'

export const now = 1_900_000_000_000
const seconds = now / 1000
export const clocked = { now, leewayMs: 0 }
export const installation = 'ins_0123456789abcdef'
export const hash = sha256('something')
export const pointInstance = 'one0start0of0a0point0A'
export const agentId = 'spiffe://example.org/agent/clerk/1'
export const issuer = 'http://localhost:8422'
const grantId = 'grt_0123456789abcdefghij'
const decisionId = 'dec_0123456789abcdefghij'

/** One private key in every role, so that only purpose and type keep the kinds apart. */
const material = exportPrivateKey(generateKey('root'))
export function keyFor<P extends KeyPurpose>(purpose: P): SigningKey<P> {
  const key = importPrivateKey(purpose, material)
  if (key === undefined) throw new Error('no key')
  return key
}
export const publicKey = keyFor('root').publicJwk
/** The text that an attacker who confuses algorithms would use as a shared secret. */
export const publicPem = createPublicKey({ key: { ...publicKey }, format: 'jwk' }).export({
  type: 'spki',
  format: 'pem',
})

/** Any compact JWS by the shared key: an attacker who has stolen no key, but exploits every mistake, could send it. */
export function forge(header: object, payload: object | string): string {
  const text = typeof payload === 'string' ? payload : JSON.stringify(payload)
  const signed = `${encodeBase64url(JSON.stringify(header))}.${encodeBase64url(text)}`
  return `${signed}.${encodeBase64url(keyFor('root').sign(Buffer.from(signed)))}`
}

/** A compact JWS and the event with the same signing input: its payload, then its header and signature. */
function toEvent(compact: string): Uint8Array {
  const [header, payload = '', signature] = compact.split('.')
  const unsigned = Buffer.from(payload, 'base64url').toString()
  return Buffer.from(`${unsigned.slice(0, -1)},"jws":"${header}..${signature}"}`)
}
function toCompact(event: Uint8Array): string {
  const [, body, header, signature] = /^(.*),"jws":"([^."]*)\.\.([^."]*)"\}$/s.exec(Buffer.from(event).toString()) ?? []
  return `${header}.${encodeBase64url(`${body}}`)}.${signature}`
}

export interface Sample {
  kind: Kind
  claims: Readonly<Record<string, unknown>>
  /** The claims that may be missing. */
  optional: readonly string[]
  header: Record<string, unknown>
  /** Signs the claims correctly, as a compact JWS, even for an event. */
  sign(key?: SigningKey): string
  verify(jws: string, options?: { key?: VerifyingKey; now?: number; leewayMs?: number }): Verified<unknown>
}

/** The casts stand in for a caller that the compiler did not stop: the run-time checks are under test. */
function sample<C extends Readonly<Record<string, unknown>>, P extends KeyPurpose>(
  kind: Kind,
  typ: string,
  purpose: P,
  claims: C,
  sign: (claims: C, key: SigningKey<P>) => string,
  verify: (jws: string, key: VerifyingKey<P>, clock: { now: number; leewayMs: number }) => Verified<unknown>,
  optional: readonly string[] = [],
  header: Record<string, unknown> = { alg: 'ES256', kid: keyFor(purpose).kid, typ },
): Sample {
  return {
    kind,
    claims: { ...claims },
    optional,
    header,
    sign: (key = keyFor(purpose)) => sign(claims, key as SigningKey<P>),
    verify: (jws, { key = publicKeyOf(keyFor(purpose)), ...clock } = {}) =>
      verify(jws, key as VerifyingKey<P>, { ...clocked, ...clock }),
  }
}

const token = 'the access token'
const proof = { htm: 'POST', htu: 'https://api.example/invoices', jti: 'proof-1', now, accessToken: token }
const permit = {
  iss: issuer,
  aud: 'pep-1',
  jti: decisionId,
  iat: seconds,
  exp: seconds + 5,
  instance: pointInstance,
  action_digest: hash,
  grant: grantId,
}

export const accessTokenClaims = {
  iss: issuer,
  aud: 'https://api.example',
  sub: agentId,
  client_id: agentId,
  iat: seconds,
  exp: seconds + 300,
  jti: 'crd_0123456789abcdefghij',
  cnf: { jkt: hash },
  authorization_details: [{ type: 'bailiwick_task', task: 'reconcile' }],
  grant: {
    id: grantId,
    root: grantId,
    request: 'req_0123456789abcdefghij',
    mode: 'window' as const,
    statement_hash: hash,
    as_of: 7,
  },
}

export const delegationClaims = {
  iss: agentId,
  sub: 'spiffe://example.org/agent/reader/1',
  aud: installation,
  iat: seconds,
  exp: seconds + 600,
  jti: 'delegation-1',
  cnf: { jkt: hash },
  grant: grantId,
  as_of: 7,
  parent_hash: hash,
  authorization_details: [{ type: 'bailiwick_task', task: 'reconcile' }] as [Record<string, unknown>],
  resources: ['https://api.example'],
}

/** A valid sample of each kind. */
export const samples: readonly Sample[] = [
  sample(
    'event',
    'bailiwick-event+jws',
    'issuer-event',
    { specversion: '1.0', id: 'evt-00000001', data: { text: 'Grüße' } },
    (event, key) => toCompact(signEvent(Buffer.from(JSON.stringify(event)), key)),
    (jws, key) => verifyEventSignature(toEvent(jws), key),
    ['specversion', 'id', 'data'],
  ),
  sample(
    'serviceKey',
    'bailiwick-key+jws',
    'root',
    {
      installation,
      kid: keyFor('root').kid,
      jwk: { ...publicKey } as { kty: 'EC'; crv: 'P-256'; x: string; y: string },
      purpose: 'issuer-event' as const,
      service: 'issuer' as const,
      topics: ['grants.v1'],
      not_before: '2026-01-01T00:00:00.000Z',
      not_after: '2036-01-01T00:00:00.000Z',
    },
    signServiceKeyCertificate,
    (certificate, key) => verifyServiceKeyCertificate({ certificate, key, installation }),
  ),
  sample(
    'genesis',
    'bailiwick-genesis+jws',
    'root',
    { installation, entity_type: 'agent', entity_id: agentId, version: 1, after: hash },
    signGenesisStatement,
    (statement, key) => verifyGenesisStatement({ statement, key, installation }),
  ),
  sample(
    'invitation',
    'bailiwick-invitation+jws',
    'invitation',
    { installation, credential_id: 'AAAA', public_key: 'AAAA', approver_id: 'ada', name: 'Ada', groups: ['owners'] },
    signInvitation,
    (invitation, key) => verifyInvitation({ invitation, key, installation }),
  ),
  sample(
    'accessRequest',
    'bailiwick-request+jws',
    'agent',
    {
      aud: installation,
      sub: agentId,
      iat: seconds,
      exp: seconds + 600,
      jti: 'ask-1',
      authority: { type: 'bailiwick_task' },
      mode: 'window' as const,
      expires_in_seconds: 3600,
      purpose: { salted_sha256: hash },
    },
    signAccessRequest,
    (request, key, clock) => verifyAccessRequest({ request, key, subject: agentId, installation, ...clock }),
    ['purpose'],
  ),
  sample(
    'clientAssertion',
    'client-authentication+jwt',
    'agent',
    { iss: agentId, sub: agentId, aud: issuer, iat: seconds, exp: seconds + 60, jti: 'assertion-1' },
    signClientAssertion,
    (assertion, key, clock) =>
      verifyClientAssertion({ assertion, key, clientId: agentId, audiences: [issuer], ...clock }),
    ['iat'],
  ),
  sample(
    'dpopProof',
    'dpop+jwt',
    'agent',
    { htm: 'POST', htu: 'https://api.example/invoices', iat: seconds, jti: 'proof-1', ath: sha256(token) },
    (_, key) => makeDpopProof(proof, key),
    (jws, _, clock) => verifyDpopProof({ ...proof, proof: jws, maxAgeMs: 60_000, ...clock }),
    [],
    { alg: 'ES256', typ: 'dpop+jwt', jwk: publicKey },
  ),
  sample(
    'delegation',
    'bailiwick-delegation+jwt',
    'agent',
    delegationClaims,
    signDelegation,
    (delegation, key) =>
      verifyDelegation({ delegation, delegator: { agent: agentId, jkt: key.kid }, grant: grantId, installation }),
    ['resources'],
    { alg: 'ES256', typ: 'bailiwick-delegation+jwt', jwk: publicKey },
  ),
  sample('accessToken', 'at+jwt', 'credential', accessTokenClaims, signAccessToken, (jws, key, clock) =>
    verifyAccessToken({ token: jws, key, issuer, audience: 'https://api.example', ...clock }),
  ),
  sample(
    'callerAssertion',
    'bailiwick-caller+jwt',
    'pep-caller',
    {
      iss: 'pep-1',
      sub: 'pep-1',
      aud: issuer,
      iat: seconds,
      exp: seconds + 60,
      jti: 'call-1',
      instance: pointInstance,
    },
    signCallerAssertion,
    (assertion, key, clock) =>
      verifyCallerAssertion({ assertion, key, enforcementPoint: 'pep-1', audience: issuer, ...clock }),
    ['instance'],
  ),
  sample(
    'continuation',
    'bailiwick-continuation+jws',
    'pep-caller',
    {
      installation,
      enforcement_point: 'pep-1',
      instance: pointInstance,
      call_id: 'call-0123456789ab',
      decision_id: decisionId,
      action_digest: hash,
    },
    signContinuation,
    (continuation, key) => verifyContinuation({ continuation, key, installation, enforcementPoint: 'pep-1' }),
    ['instance'],
  ),
  sample(
    'outcome',
    'bailiwick-outcome+jws',
    'outcome',
    {
      installation,
      enforcement_point: 'pep-1',
      instance: pointInstance,
      sequence: 1,
      call_id: 'call-0123456789ab',
      decision_id: decisionId,
      action_digest: hash,
      status: 'succeeded' as const,
      at: '2030-03-17T17:46:40.000Z',
      cost: { amount: '12.50', currency: 'EUR' },
    },
    signOutcome,
    (outcome, key) => verifyOutcome({ outcome, key, installation, enforcementPoint: 'pep-1' }),
    ['cost', 'instance'],
  ),
  sample('permit', 'bailiwick-permit+jwt', 'permit', permit, signPermit, (jws, key, clock) =>
    verifyPermit({
      ...{ permit: jws, key, issuer, enforcementPoint: 'pep-1', instance: pointInstance, actionDigest: hash },
      ...clock,
    }),
  ),
  sample(
    'bindingToken',
    'bailiwick-binding+jwt',
    'binding-token',
    {
      iss: issuer,
      aud: installation,
      jti: decisionId,
      iat: seconds,
      exp: seconds + 600,
      reason: 'action_not_granted',
      sub: agentId,
    },
    signBindingToken,
    (token, key, clock) => verifyBindingToken({ token, key, installation, ...clock }),
    ['sub'],
  ),
  sample(
    'notification',
    'bailiwick-notification+jws',
    'notification',
    { iss: installation, aud: 'https://agents.example/told', iat: seconds, jti: 'delivery-1', body_sha256: hash },
    signNotification,
    (notification, key) =>
      verifyNotification({
        notification,
        key,
        installation,
        url: 'https://agents.example/told',
        bodySha256: hash,
      }),
  ),
]

export function sampleOf(kind: Kind): Sample {
  const found = samples.find((s) => s.kind === kind)
  if (found === undefined) throw new Error(kind)
  return found
}

/** A trust anchor whose root is the shared key. */
export function aTrust(): Trust {
  const jwk = { ...publicKey } as Trust['root']['jwk']
  const trust: Omit<Trust, 'jws'> = {
    v: 1,
    installation,
    root: { jwk },
    log: { vkey: 'localhost/log+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW' },
    rp_id: 'localhost',
    origins: ['http://localhost:8420'],
    single_operator: true,
    invitation: { jwk: { ...generateKey('invitation').publicJwk } as Trust['root']['jwk'] },
    public_url: 'http://localhost:8420',
    created_at: '2026-01-01T00:00:00.000Z',
  }
  return signTrust(trust, keyFor('root'))
}
