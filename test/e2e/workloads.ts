import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Agent, Attestation } from '@bailiwick/contracts'
import { encodeBase64url, generateKey, makeDpopProof, type SigningKey, sha256 } from '@bailiwick/credentials'
import type { InitialEntities } from '@bailiwick/installation'
import { newId } from '@bailiwick/kit'
import { sample } from '@bailiwick/standalone/sample'
import type { TokenAnswer } from './agent-side.ts'
import type { Ask } from './people.ts'
import type { World } from './world.ts'

export const podAgent = 'spiffe://bailiwick.local/agent/pods'
export const jobAgent = 'spiffe://bailiwick.local/agent/jobs'
export const joinAgent = 'spiffe://bailiwick.local/agent/joiner'
export const pairAgent = 'spiffe://bailiwick.local/agent/pair'
export const provider = 'https://oidc.example'
export const jobAudience = 'https://bailiwick.example'
const assertionType = (name: string) => `urn:ietf:params:oauth:client-assertion-type:${name}`

/** An authority that vouches for workloads, with its keys in a file, and agents whose workloads it vouches for. */
export class Authority implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'authority-'))
  readonly #key = generateKey('agent')
  /** Of the agent `pair`, whose keys are registered. */
  readonly pair = [generateKey('agent'), generateKey('agent')] as const

  constructor() {
    for (const use of ['jwt-svid', 'sig'])
      writeFileSync(this.#file(use), JSON.stringify({ keys: [{ ...this.#key.publicJwk, kid: 'authority-1', use }] }))
  }

  get publicJwk() {
    return this.#key.publicJwk
  }

  #file(use: string): string {
    return join(this.#folder, `${use}.json`)
  }

  agents(): InitialEntities {
    const [one, two] = this.pair
    const agent = (id: string, attestor: Agent['attestor']) => ({
      type: 'agent' as const,
      value: {
        id,
        name: id.slice(id.lastIndexOf('/') + 1),
        owner: sample.owner,
        attestor,
        labels: [],
        proactive_requests: true,
      },
    })
    return [
      agent(podAgent, { kind: 'jwt_svid', bundle: { file: this.#file('jwt-svid') } }),
      agent(jobAgent, {
        kind: 'oidc',
        issuer: provider,
        jwks: { file: this.#file('sig') },
        audience: jobAudience,
        claims: { '/sub': 'repo:acme/ledger:ref:refs/heads/main' },
        instance_claim: '/run_id',
      }),
      agent(joinAgent, { kind: 'join_token' }),
      agent(pairAgent, {
        kind: 'registered_key',
        keys: [
          { instance: 'one', jwk: one.publicJwk },
          { instance: 'two', jwk: two.publicJwk },
        ],
      }),
    ]
  }

  /** A token by this authority, correct unless the caller overrides a claim. */
  token(claims: Record<string, unknown>, over: { key?: SigningKey<'agent'>; header?: object } = {}): string {
    const part = (value: object) => encodeBase64url(JSON.stringify(value))
    const signed = `${part({ alg: 'ES256', kid: 'authority-1', typ: 'JWT', ...over.header })}.${part(claims)}`
    return `${signed}.${encodeBase64url((over.key ?? this.#key).sign(Buffer.from(signed)))}`
  }

  svid(world: Pick<World, 'clock' | 'url'>, sub: string, over: object = {}): string {
    const iat = Math.floor(world.clock.now() / 1000)
    return this.token({ sub, aud: [world.url], iat, exp: iat + 300, jti: randomUUID(), ...over })
  }

  idToken(world: Pick<World, 'clock'>, run: string, over: object = {}): string {
    const iat = Math.floor(world.clock.now() / 1000)
    const sub = 'repo:acme/ledger:ref:refs/heads/main'
    return this.token({ iss: provider, sub, aud: jobAudience, run_id: run, iat, exp: iat + 300, ...over })
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** A running copy of an agent, with a key that it made itself. */
export interface Workload {
  id: string
  key: SigningKey<'agent'>
  kind: Attestation['kind']
}

export const aWorkload = (
  id: string,
  kind: Attestation['kind'] = 'jwt_svid',
  key = generateKey('agent'),
): Workload => ({
  ...{ id, kind, key },
})

/** Its request, as approval publishes it after attesting it. */
export const askOf = ({ id, key, kind }: Workload, rebind: 'none' | 'attested' = 'none'): Ask => ({
  workload: {
    id,
    attestation: {
      kind,
      ...(kind === 'registered_key' ? {} : { token_hash: sha256('shown to approval'), jwk: key.publicJwk }),
      attested_at: new Date().toISOString(),
    },
  },
  key,
  rebind,
})

const types = {
  registered_key: assertionType('jwt-bearer'),
  emergency: assertionType('jwt-bearer'),
  oidc: assertionType('jwt-bearer'),
  jwt_svid: assertionType('jwt-spiffe'),
  join_token: 'urn:bailiwick:params:oauth:client-assertion-type:join-token',
} as const

/** One request for a credential, with a valid nonce. */
export async function askToken(
  world: World,
  { id, key, kind }: Workload,
  grantId: string,
  token: string,
  over: Record<string, string> = {},
): Promise<TokenAnswer> {
  const send = async (nonce: string | undefined): Promise<TokenAnswer> => {
    const now = world.clock.now()
    const jti = newId('call', now, world.random)
    const dpop = makeDpopProof({ htm: 'POST', htu: `${world.url}/oauth/token`, jti, now, nonce }, key)
    const form = {
      grant_type: 'client_credentials',
      client_id: id,
      client_assertion_type: types[kind],
      client_assertion: token,
      authorization_details: JSON.stringify([{ type: 'bailiwick_grant', grant_id: grantId }]),
      ...over,
    }
    const answer = await world.http.inject({
      method: 'POST',
      url: '/oauth/token',
      headers: { 'content-type': 'application/x-www-form-urlencoded', dpop },
      payload: new URLSearchParams(form).toString(),
    })
    const body = answer.json() as Record<string, unknown>
    return {
      status: answer.statusCode,
      ...(typeof body.error === 'string' ? { error: body.error } : {}),
      ...(typeof body.access_token === 'string' ? { token: body.access_token } : {}),
      nonce: String(answer.headers['dpop-nonce'] ?? ''),
      body,
    }
  }
  const first = await send(undefined)
  return first.error === 'use_dpop_nonce' ? send(first.nonce) : first
}
