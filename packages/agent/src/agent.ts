import type { SigningKey } from '@bailiwick/credentials'
import { type AccessAsk, type AccessTask, accessRequests } from './access-requests.ts'
import { clientParameters } from './client-assertion.ts'
import { completeGrant } from './complete-grant.ts'
import { type Credential, credentials, type GrantName } from './credentials.ts'
import { type DelegationAsk, delegate, type SignedDelegation } from './delegate.ts'
import type { Endpoints } from './endpoints.ts'
import { type GrantState, grantState } from './grant-state.ts'
import { Http } from './http.ts'
import { revokeDelegation } from './revoke-delegation.ts'
import { requestEvent, type SignedRequest, signRequest } from './sign-request.ts'
import { type SignedCall, signedFetch } from './signed-fetch.ts'
import { type WorkloadAttestation, workloadToken } from './workload.ts'

export interface AgentOptions {
  /** The agent's registered SPIFFE ID: `spiffe://<trust domain>/agent/<name>`. */
  agentId: string
  /** The name of this instance of the agent; its key is registered or was bound by attestation. */
  instance: string
  /** Its registered key; for a workload that attests, a key of its own (`workloadKey`). */
  key: SigningKey<'agent'>
  /** How it proves which instance it is, unless its key is registered: with each request over HTTP, and for each credential. */
  attestation?: WorkloadAttestation
  /** The installation that receives the requests: the audience of access requests. */
  installation: string
  /** The address of all services if one process, or one proxy, serves them; `endpoints` gives each address separately. */
  baseUrl: string
  endpoints?: Partial<Endpoints>
  fetch?: typeof fetch
  /** ms since the epoch */
  now: () => number
  /** Unpredictable bytes. */
  random: (n: number) => Uint8Array
  /** How long an answer of Bailiwick's services may take, in ms; default 10 s. */
  timeoutMs?: number
}

/** Software with its own identity that asks before it acts. Errors are `ServiceError`s and contain no token (V17). */
export interface Agent {
  /** `<agent id>/<instance>`: the identity that signs, asks and acts. */
  readonly id: string
  /**
   * Signs a request, to be submitted within `validForSeconds`. Throws `authority_malformed` or `authority_not_understood` for an authority
   * that could not be approved.
   */
  signRequest(ask: AccessAsk): SignedRequest
  /** The event that submits a signed request on `access-requests.v1`. Submitting it again is the same request. */
  accessRequestEvent(signed: SignedRequest): { key: string; bytes: Uint8Array }
  /**
   * Submits a request over HTTP (AuthZEN Access Request Profile), with the workload's token if it attests. A request that is already signed
   * may be submitted again.
   */
  request(ask: AccessAsk | SignedRequest): Promise<AccessTask>
  status(requestId: string): Promise<AccessTask>
  /** Resolves once the request is answered, approved or not. Rejects with the signal's reason. */
  waitForDecision(requestId: string, options?: { signal?: AbortSignal }): Promise<AccessTask>
  cancel(requestId: string): Promise<void>
  /**
   * Passes on a part of its rights to a sub-agent, which redeems the delegation with its own key: `credential({ delegation })`. Throws
   * `delegation_invalid` if it passes on more than it has, and the errors of `credential`.
   */
  delegate(ask: DelegationAsk): Promise<SignedDelegation>
  /**
   * Ends a delegation and everything passed on under it. The delegation is one that this agent signed, one below such a one, or its
   * own. Name it by its id, or by its signed form if it may not have been redeemed yet. Throws `grant_unknown` if this key may not revoke
   * it.
   */
  revokeDelegation(delegation: string): Promise<void>
  /**
   * Reports the task as done, while the agent still may. Once this resolves, the grant and everything minted or passed on under it are
   * dead; for a sub-agent, its delegation. May be repeated. Throws `grant_unknown` if the grant does not belong to this key, and
   * `grant_not_active` if it was revoked or its time is over.
   */
  complete(grant: GrantName): Promise<void>
  /**
   * Whether a grant of this key still lives, as a decision point judges it now. An `ended` grant never lives again; a `suspended` one may.
   * Throws `grant_unknown` if the grant does not belong to this key, and `service_unready` while the issuer's own state is not fresh.
   */
  grantState(grant: { grantId: string } | { requestId: string }): Promise<GrantState>
  /**
   * A credential for the grant, from memory while it has some time left. Throws `access_request_pending` while the request is unanswered,
   * unless `wait` says how long to keep asking; throws `access_request_refused` if no credential will come.
   */
  credential(grant: GrantName, options?: { wait?: AbortSignal }): Promise<Credential>
  /**
   * Calls a guarded API with the credential and a signed proof of the key and the exact action. Resolves with the API's answer, even a
   * denial; if the API asks for a nonce, it calls once more. Rejects with `outcome_unknown` if no answer arrived.
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
    grantState: (grant) =>
      grantState({ http, issuer: endpoints.issuer }, 'grantId' in grant ? grant.grantId : grant.requestId),
    credential: (grant, { wait } = {}) => credential.get(grant, wait),
    fetch: (url, init, call) => signedFetch({ http, credential, now, random }, { url: new URL(url), init, call }),
  }
}
