import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  generateKey,
  publicKeyOf,
  verifyAccessRequest,
  verifyClientAssertion,
  verifyDpopProof,
} from '@bailiwick/credentials'
import { type Agent, type AgentOptions, createAgent } from './agent.ts'

export const installation = 'ins_0123456789abcdef'
export const agentId = 'spiffe://example.org/agent/clerk'
export const key = generateKey('agent')
export const grantId = 'grt_0123456789abcdefghij'

export interface Reply {
  status?: number
  headers?: Record<string, string>
  body?: unknown
  text?: string
  hang?: boolean
}

export interface Received {
  method: string
  path: string
  headers: IncomingMessage['headers']
  text: string
  /** The proof's own claims, once it has been verified for exactly this request. */
  proof: { nonce: string | undefined; actionDigest: string | undefined; jti: string } | undefined
}

/** Stands in for an installation and for an API, on real ports. It verifies what it receives, like the real one. */
export class FakeInstallation implements AsyncDisposable {
  url = ''
  now = 1_900_000_000_000
  /** Each proof at the token endpoint must carry it; undefined: no nonce is required. */
  nonce: string | undefined = 'nonce-1'
  readonly received: Received[] = []
  readonly assertions = new Set<string>()
  tokens = 0
  expiresIn = 300
  token: () => Reply = () => ({
    body: {
      access_token: `token-${++this.tokens}`,
      token_type: 'DPoP',
      expires_in: this.expiresIn,
      authorization_details: [{}],
    },
  })
  requests: (request: Received) => Reply = () => ({ status: 404, body: { code: 'access_request_unknown' } })
  completion: (received: Received) => Reply = () => ({ status: 404, body: { code: 'grant_unknown' } })
  api: (request: Received) => Reply | Promise<Reply> = () => ({ body: { done: true } })
  readonly #server: Server = createServer((request, response) => void this.#serve(request, response))

  static async start(): Promise<FakeInstallation> {
    const fake = new FakeInstallation()
    await new Promise<void>((resolve) => fake.#server.listen(0, '127.0.0.1', resolve))
    fake.url = `http://127.0.0.1:${(fake.#server.address() as AddressInfo).port}`
    return fake
  }

  agent(options: Partial<AgentOptions> = {}): Agent {
    let drawn = 0
    return createAgent({
      agentId,
      instance: 'i1',
      key,
      installation,
      baseUrl: `${this.url}/`,
      now: () => this.now,
      random: (n) => Uint8Array.from({ length: n }, (_, at) => (at === 0 ? ++drawn : drawn >> 8)),
      timeoutMs: 5000,
      ...options,
    })
  }

  /** The requests to one path, in order. */
  at(path: string): Received[] {
    return this.received.filter((r) => r.path.startsWith(path))
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = ''
    for await (const chunk of request) text += chunk
    const { method = '', url = '', headers } = request
    const received = { method, path: url, headers, text, proof: this.#proofOf(method, url, headers) }
    this.received.push(received)
    const reply = await this.#reply(received)
    if (reply.hang) return
    response.writeHead(reply.status ?? 200, { 'content-type': 'application/json', ...reply.headers })
    response.end(reply.text ?? (reply.body === undefined ? '' : JSON.stringify(reply.body)))
  }

  #proofOf(htm: string, path: string, headers: IncomingMessage['headers']): Received['proof'] {
    const accessToken = headers.authorization?.replace('DPoP ', '')
    const verified = verifyDpopProof({
      proof: String(headers.dpop),
      htm,
      htu: `${this.url}${path}`,
      accessToken,
      maxAgeMs: 60_000,
      now: this.now,
      leewayMs: 0,
    })
    return verified.ok && verified.value.jkt === key.kid ? verified.value : undefined
  }

  #reply(received: Received): Reply | Promise<Reply> {
    if (received.path === '/oauth/token') return this.#tokenReply(received)
    if (received.path.startsWith('/oauth/grants/')) return this.completion(received)
    return received.path.startsWith('/access/') ? this.requests(received) : this.api(received)
  }

  #tokenReply({ text, proof }: Received): Reply {
    const headers: Record<string, string> = this.nonce === undefined ? {} : { 'dpop-nonce': this.nonce }
    const refuse = (error: string) => ({ status: 400, headers, body: { error, error_description: 'why' } })
    const form = new URLSearchParams(text)
    const assertion = form.get('client_assertion') ?? ''
    const client = verifyClientAssertion({
      assertion,
      key: publicKeyOf(key),
      clientId: `${agentId}/i1`,
      audiences: [this.url],
      now: this.now,
      leewayMs: 0,
    })
    if (!client.ok || this.assertions.has(assertion)) return refuse('invalid_client')
    if (!proof) return refuse('invalid_dpop_proof')
    if (proof.nonce !== this.nonce) return refuse('use_dpop_nonce')
    this.assertions.add(assertion)
    return { headers, ...this.token() }
  }

  /** The content of an access request, verified as approval verifies it. */
  verifyRequest(request: string) {
    return verifyAccessRequest({
      request,
      key: publicKeyOf(key),
      subject: `${agentId}/i1`,
      installation,
      now: this.now,
      leewayMs: 0,
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

export const authority = {
  type: 'bailiwick_task',
  task: 'reconcile-q3-invoices',
  permissions: [{ actions: ['tools/call'], resource: { type: 'tool', id: 'invoices/read' } }],
  budget: { calls: 20 },
  max_depth: 0,
  max_children: 0,
}
