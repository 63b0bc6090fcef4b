import type { SigningKey } from '@bailiwick/credentials'
import { type AccessAsk, type AccessTask, accessRequests } from './access-requests.ts'
import { clientParameters } from './client-assertion.ts'
import { completeGrant } from './complete-grant.ts'
import { type Credential, credentials, type GrantName } from './credentials.ts'
import { type DelegationAsk, delegate, type SignedDelegation } from './delegate.ts'
import type { Endpoints } from './endpoints.ts'
import { Http } from './http.ts'
import { revokeDelegation } from './revoke-delegation.ts'
import { requestEvent, type SignedRequest, signRequest } from './sign-request.ts'
import { type SignedCall, signedFetch } from './signed-fetch.ts'
import { type WorkloadAttestation, workloadToken } from './workload.ts'

export interface AgentOptions {
  /** The agent's SPIFFE ID, as it is registered: `spiffe://<trust domain>/agent/<name>`. */
  agentId: string
  /** The name of this instance of it, whose key is registered or was bound by attestation. */
  instance: string
  /** Its registered key; of a workload that attests, one of its own (`workloadKey`). */
  key: SigningKey<'agent'>
  /** How it shows which instance it is, unless its key is registered: with each ask over HTTP, and for each credential. */
  attestation?: WorkloadAttestation
  /** The installation that is asked: the audience of access requests. */
  installation: string
  /** Where everything is when one process, or one proxy, serves all; `endpoints` says it one by one. */
  baseUrl: string
  endpoints?: Partial<Endpoints>
  fetch?: typeof fetch
  /** ms since the epoch */
  now: () => number
  /** Unpredictable bytes. */
  random: (n: number) => Uint8Array
  /** How long an answer of Bailiwick's services may take, in ms: 10 s unless told. */
  timeoutMs?: number
}

/** A piece of software with an identity of its own, that asks before it acts. Errors are `ServiceError`s and hold no token (V17). */
export interface Agent {
  /** `<agent id>/<instance>`: who signs, asks and acts. */
  readonly id: string
  /**
   * Signs an ask, to be handed in within `validForSeconds`. Throws `authority_malformed` or `authority_not_understood` for what
   * nobody could approve.
   */
  signRequest(ask: AccessAsk): SignedRequest
  /** The event that hands in a signed ask on `access-requests.v1`. The same ask again is the same request. */
  accessRequestEvent(signed: SignedRequest): { key: string; bytes: Uint8Array }
  /**
   * Hands in an ask over HTTP (AuthZEN Access Request Profile), with the workload's token if it attests. An ask that was signed
   * before may be repeated.
   */
  request(ask: AccessAsk | SignedRequest): Promise<AccessTask>
  status(requestId: string): Promise<AccessTask>
  /** Resolves once the request is answered, however. Rejects with the signal's reason. */
  waitForDecision(requestId: string, options?: { signal?: AbortSignal }): Promise<AccessTask>
  cancel(requestId: string): Promise<void>
  /**
   * Passes on a part of what it may do to a sub-agent, which redeems it with its own key: `credential({ delegation })`. Throws
   * `delegation_invalid` for more than it has, and what `credential` throws.
   */
  delegate(ask: DelegationAsk): Promise<SignedDelegation>
  /**
   * Ends a delegation, and what was passed on under it: one that this agent signed, one above which it stands, or its own.
   * By its id, or as it was signed where nobody may have redeemed it yet. Throws `grant_unknown` for what is not this key's.
   */
  revokeDelegation(delegation: string): Promise<void>
  /**
   * Says that the task is done, while it is still the agent's to say: once it resolves, the grant and whatever was minted or
   * passed on under it are dead; of a sub-agent, its delegation. May be repeated. Throws `grant_unknown` for what is not this key's.
   */
  complete(grant: GrantName): Promise<void>
  /**
   * A credential for the grant, from memory while it has a while to live. Throws `access_request_pending` while nobody has
   * answered, unless `wait` says how long to ask again; `access_request_refused` when it will not come.
   */
  credential(grant: GrantName, options?: { wait?: AbortSignal }): Promise<Credential>
  /**
   * Calls a guarded API: credential, proof of the key and the exact action, signed. Answers with whatever the API answered, a
   * denial included; asked for a nonce, it calls once more. Rejects with `outcome_unknown` when no answer came.
   */
  fetch(url: string | URL, init: SignedCall['init'], call: SignedCall['call']): Promise<Response>
}

export function createAgent(options: AgentOptions): Agent {
  const { agentId, instance, key, installation, now, random } = options
  const id = `${agentId}/${instance}`
  const baseUrl = options.baseUrl.replace(/\/+$/, '')
  const endpoints: Endpoints = {
    issuer: baseUrl,
    token: `${baseUrl}/oauth/token`,
    accessRequests: `${baseUrl}/access/v1/requests`,
    ...options.endpoints,
  }
  const http = new Http({ key, fetch: options.fetch ?? fetch, now, random, timeoutMs: options.timeoutMs ?? 10_000 })
  const signing = { id, key, installation, now, random }
  const { attestation } = options
  const shown = attestation && {
    shown: async () => ({ token: await workloadToken(attestation, 'access-requests', endpoints), jwk: key.publicJwk }),
  }
  const asks = accessRequests({ id, http, endpoint: endpoints.accessRequests, ...shown })
  const client = () => clientParameters({ id, key, endpoints, now, random, attestation })
  const credential = credentials({ http, endpoints, now, client })
  return {
    id,
    signRequest: (ask) => signRequest(signing, ask),
    accessRequestEvent: (signed) => requestEvent(signing, signed),
    request: (ask) => asks.submit('jws' in ask ? ask : signRequest(signing, ask)),
    status: (requestId) => asks.status(requestId),
    waitForDecision: (requestId, { signal } = {}) => asks.waitForDecision(requestId, signal),
    cancel: (requestId) => asks.cancel(requestId),
    delegate: (ask) => delegate({ ...signing, credential }, ask),
    revokeDelegation: (delegation) => revokeDelegation({ http, issuer: endpoints.issuer }, delegation),
    async complete(grant) {
      const at = { http, issuer: endpoints.issuer }
      if ('delegation' in grant) await revokeDelegation(at, grant.delegation)
      else await completeGrant(at, 'grantId' in grant ? grant.grantId : grant.requestId)
      credential.drop(grant)
    },
    credential: (grant, { wait } = {}) => credential.get(grant, wait),
    fetch: (url, init, call) => signedFetch({ http, credential, now, random }, { url: new URL(url), init, call }),
  }
}
