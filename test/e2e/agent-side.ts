import {
  type Action,
  actionDigest,
  actionText,
  generateKey,
  makeDpopProof,
  type Permit,
  permittedHash,
  type SigningKey,
  signCallerAssertion,
  signClientAssertion,
  signOutcome,
} from '@bailiwick/credentials'
import type { DenialReason } from '@bailiwick/errors'
import { newId } from '@bailiwick/kit'
import { sample, sampleAgentId, sampleKey } from '@bailiwick/standalone/sample'
import { eventually, type World } from './world.ts'

export const strangersKey = () => generateKey('agent')

export interface TokenAsk {
  agent?: (typeof sample.agents)[number]
  details?: unknown
  form?: Record<string, string | undefined>
  assertion?: Partial<Parameters<typeof signClientAssertion>[0]>
  assertionKey?: SigningKey<'agent'>
  proof?: Partial<Parameters<typeof makeDpopProof>[0]>
  proofKey?: SigningKey<'agent'>
  /** Sent instead of a proof; empty: none. */
  dpop?: string
}

export interface TokenAnswer {
  status: number
  error?: string
  token?: string
  nonce: string
  body: Record<string, unknown>
}

export const agentId = (name: (typeof sample.agents)[number] = 'reconciler') =>
  `${sampleAgentId(name)}/${sample.instance}`

/** The part of a world that an agent at the token endpoint needs; any running system has it. */
export type IssuerWorld = Pick<World, 'clock' | 'random' | 'url' | 'data' | 'http'>

/** One request to the token endpoint, correct unless the caller overrides a member. */
export async function askToken(world: IssuerWorld, ask: TokenAsk = {}): Promise<TokenAnswer> {
  const { clock, random, url, data } = world
  const { agent = 'reconciler' } = ask
  const key = sampleKey(data, agent)
  const sub = agentId(agent)
  const now = clock.now()
  const iat = Math.floor(now / 1000)
  const jti = newId('call', now, random)
  const form = {
    grant_type: 'client_credentials',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: signClientAssertion(
      { iss: sub, sub, aud: url, iat, exp: iat + 60, jti, ...ask.assertion },
      ask.assertionKey ?? key,
    ),
    authorization_details: JSON.stringify(ask.details),
    ...ask.form,
  }
  const sent = Object.entries(form).filter((entry): entry is [string, string] => entry[1] !== undefined)
  const dpop =
    ask.dpop ??
    makeDpopProof(
      { htm: 'POST', htu: `${url}/oauth/token`, jti: newId('call', now, random), now, ...ask.proof },
      ask.proofKey ?? key,
    )
  const answer = await world.http.inject({
    method: 'POST',
    url: '/oauth/token',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...(dpop === '' ? {} : { dpop }) },
    payload: new URLSearchParams(sent).toString(),
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

/** As `askToken`, with a valid nonce. */
export async function askTokenWithNonce(world: IssuerWorld, ask: TokenAsk = {}): Promise<TokenAnswer> {
  const { nonce } = await askToken(world, { details: [] })
  return askToken(world, { ...ask, proof: { nonce, ...ask.proof } })
}

export async function credentialFor(world: World, grantId: string): Promise<string> {
  // On a busy machine the issuer may briefly not be proved fresh. It says so, and the caller asks again.
  const { token, body } = await eventually(async () => {
    const answer = await askTokenWithNonce(world, { details: [{ type: 'bailiwick_grant', grant_id: grantId }] })
    return answer.status === 503 ? undefined : answer
  })
  if (token === undefined) throw new Error(JSON.stringify(body))
  return token
}

export interface CallAsk {
  tool?: string
  properties?: Record<string, unknown>
  resource?: Action['resource']
  name?: string
  credential?: string | undefined
  proofKey?: SigningKey<'agent'>
  proof?: Partial<Parameters<typeof makeDpopProof>[0]>
  /** Overrides members of `context.bailiwick`. */
  observed?: Record<string, unknown>
  subject?: string
  caller?: string
}

export interface CallAnswer {
  decision: boolean
  reason?: DenialReason
  decisionId: string
  digest: string
  /** The digest by which the call's outcome names the action. */
  actionHash: string
  permit?: string
  context: Record<string, unknown>
}

/** The number of bytes of the answer that an ALLOW lets out; undefined: all of them. */
export function limitOf({ context: { obligations = [] } }: CallAnswer): number | undefined {
  const custom = obligations as { properties: { action?: string; bytes?: number } }[]
  return custom.find(({ properties }) => properties.action === 'limit')?.properties.bytes
}

export const read = { tool: 'read', properties: { id: '1' } }
export const adjust = (amount: string) => ({ tool: 'adjust', properties: { amount, currency: 'EUR' } })

/** The part of a world that an enforcement point needs; any running system has it. */
export type PointsWorld = Pick<World, 'clock' | 'random' | 'url' | 'data' | 'trust' | 'http'>

const claimsOf = (permit: string): Permit => JSON.parse(Buffer.from(permit.split('.')[1] ?? '', 'base64url').toString())

/** An enforcement point in front of the sample tools, as it calls the PDP. */
export class Point {
  readonly #world: PointsWorld
  readonly #http
  #nonce: string | undefined
  #sequence = 0

  constructor(world: PointsWorld, http = world.http) {
    this.#world = world
    this.#http = http
  }

  assertion(): string {
    const { clock, random, url, data } = this.#world
    const iat = Math.floor(clock.now() / 1000)
    const jti = newId('call', clock.now(), random)
    const claims = { iss: sample.enforcementPoint, sub: sample.enforcementPoint, aud: url, iat, exp: iat + 60, jti }
    return signCallerAssertion(claims, sampleKey(data, 'point-caller'))
  }

  /** The body to send; the same body may be sent again. */
  body(ask: CallAsk): { body: Record<string, unknown>; digest: string; text: string } {
    const { clock, random, data } = this.#world
    const action = {
      name: ask.name ?? 'tools/call',
      properties: ask.properties ?? {},
      resource: ask.resource ?? { type: 'tool', id: `${sample.toolServer}/${ask.tool ?? 'read'}` },
    }
    const digest = actionDigest(action)
    const now = clock.now()
    const htu = `${sample.invoicesUrl}/tools`
    const proof = makeDpopProof(
      {
        ...{ htm: 'POST', htu, jti: newId('call', now, random), now, nonce: this.#nonce },
        accessToken: ask.credential,
        actionDigest: digest,
        ...ask.proof,
      },
      ask.proofKey ?? sampleKey(data, 'reconciler'),
    )
    const observed = { credential: ask.credential, proof, htm: 'POST', htu, action_digest: digest, ...ask.observed }
    const body = {
      subject: { type: 'agent', id: ask.subject ?? agentId() },
      action: { name: action.name, properties: action.properties },
      resource: action.resource,
      context: { bailiwick: observed },
    }
    return { body, digest, text: actionText(action) }
  }

  async send(body: Record<string, unknown>, caller = this.assertion(), path = 'evaluation') {
    return this.#http.inject({
      method: 'POST',
      url: `/access/v1/${path}`,
      headers: { authorization: `Bearer ${caller}`, 'content-type': 'application/json' },
      payload: JSON.stringify(body),
    })
  }

  /** Asks once: a requested nonce is not supplied. */
  async once(ask: CallAsk): Promise<CallAnswer> {
    const { body, digest, text } = this.body(ask)
    const answer = (await this.send(body, ask.caller)).json() as {
      decision: boolean
      context?: { decision_id: string; permit?: string; reason?: DenialReason; dpop_nonce?: string }
    }
    if (answer.context === undefined) throw Object.assign(new Error('it does not decide'), answer)
    const { decision_id: decisionId, permit, reason, dpop_nonce } = answer.context
    if (dpop_nonce !== undefined) this.#nonce = dpop_nonce
    return {
      ...{ decision: answer.decision, decisionId, digest, context: answer.context },
      actionHash: permit === undefined ? digest : permittedHash(claimsOf(permit), text),
      ...(permit === undefined ? {} : { permit }),
      ...(reason === undefined ? {} : { reason }),
    }
  }

  /** Asks, and asks again with the nonce when one is requested. */
  async call(ask: CallAsk): Promise<CallAnswer> {
    const first = await this.once(ask)
    return first.reason === 'proof_nonce_required' ? this.once(ask) : first
  }

  outcome(
    of: CallAnswer,
    callId: string,
    status: 'succeeded' | 'failed' | 'not_executed' | 'unknown',
    sent: { egress_bytes?: number } = {},
  ): string {
    const { trust, clock, data } = this.#world
    return signOutcome(
      {
        installation: trust.installation,
        enforcement_point: sample.enforcementPoint,
        sequence: ++this.#sequence,
        call_id: callId,
        decision_id: of.decisionId,
        action_digest: of.actionHash,
        status,
        at: new Date(clock.now()).toISOString(),
        ...sent,
      },
      sampleKey(data, 'point-outcome'),
    )
  }

  async report(outcome: string): Promise<number> {
    const answer = await this.#http.inject({
      method: 'POST',
      url: '/v1/outcomes',
      headers: { authorization: `Bearer ${this.assertion()}`, 'content-type': 'application/json' },
      payload: JSON.stringify({ outcome }),
    })
    return answer.statusCode
  }
}
