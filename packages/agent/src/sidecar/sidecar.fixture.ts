import { actionDigest, sha256 } from '@bailiwick/credentials'
import { type DenialReason, retrySecondsOf } from '@bailiwick/errors'
import { type Era, type JsonObject, modernVersion } from '@bailiwick/mcp'
import { FakeInstallation, grantId, type Received, type Reply } from '../installation.fixture.ts'
import { type ClientAnswer, wholeOf } from './answers.ts'
import { openSidecar, type Sidecar, type SidecarOptions } from './sidecar.ts'

type Anything = ReturnType<typeof JSON.parse>

/** An installation and a gateway on a real port, which verify what they receive, and a sidecar before them. */
export class SidecarWorld implements AsyncDisposable {
  readonly fake: FakeInstallation
  readonly sidecar: Sidecar
  /** What the human answers; changed by a test. */
  status = 'pending'
  /** The content of each request for access, verified. */
  readonly asked: Anything[] = []
  readonly cancelled: string[] = []
  /** Whether the agent may ask for what was not denied. */
  isProactive = true
  /** What reached the server of tools. */
  readonly effects: { name: string; args: JsonObject }[] = []
  tools: JsonObject[] = [tool('read'), tool('pay')]
  /** The server's name in the registry. */
  toolServer = 'billing'
  /** Messages of the server in the stream of its next call. */
  before: object[] = []
  /** What the client answered to the server: as it arrived, and over which action the proof was. */
  readonly answers: { message: Anything; session: unknown; actionDigest: string | undefined }[] = []
  /** The codes with which the gateway denies the next sessions. */
  deniesBeginnings: string[] = []
  /** The code with which the gateway denies answers to the server. */
  deniesAnswers: string | undefined
  /** Whether a human withdrew the task: its sessions at a server with a command are then gone, and none begins. */
  isWithdrawn = false
  /** Where rules split the request: the grant of each tool. Each is good for its tool alone, and so is a session begun under it. */
  split: Readonly<Record<string, string>> | undefined
  /** The code with which the gateway denies prompts. */
  deniesPrompts: string | undefined
  /** Grants that a human withdrew. */
  readonly ended = new Set<string>()
  /** The grant of each session at the gateway. */
  readonly begun = new Map<string, string>()
  /** Whether a human said yes to `pay`, which waits for that. */
  mayPay = false
  #last = ''

  static async open(options: Partial<SidecarOptions> = {}): Promise<SidecarWorld> {
    const fake = await FakeInstallation.start()
    return new SidecarWorld(fake, options)
  }

  private constructor(fake: FakeInstallation, options: Partial<SidecarOptions>) {
    this.fake = fake
    fake.nonce = undefined
    fake.token = () => {
      const grant = /grt_\w+/.exec(fake.received.at(-1)?.text ?? '')?.[0]
      const access_token = this.split === undefined ? 'token-1' : `token-${grant}`
      return { body: { access_token, token_type: 'DPoP', expires_in: 300, authorization_details: [authority] } }
    }
    fake.requests = (received) => this.#approval(received)
    fake.api = (received) => this.#gateway(received)
    fake.completion = () => ({ body: {} })
    let drawn = 0
    this.sidecar = openSidecar({
      ...{ agent: fake.agent(), gateway: fake.url, server: 'books', publicUrl: 'https://bailiwick.example' },
      random: (n) => Uint8Array.from({ length: n }, () => ++drawn),
      ...options,
    })
  }

  #approval({ method, path, text }: Received): Reply {
    if (path.endsWith('/cancel')) {
      this.cancelled.push(path.split('/').at(-2) ?? '')
      return { body: {} }
    }
    if (method === 'POST') {
      const { request } = JSON.parse(text).bailiwick
      const verified = this.fake.verifyRequest(request)
      if (!verified.ok) return { status: 401, body: { code: 'signature_invalid' } }
      if (!this.isProactive && verified.value.binding_token_hash === undefined)
        return { status: 403, body: { code: 'denial_not_requestable' } }
      this.asked.push({ ...verified.value, words: JSON.parse(text).bailiwick.purpose?.text })
      this.#last = `req_${sha256(request)}`
    }
    const isStepUp = this.asked.at(-1)?.grant_id !== undefined
    if (isStepUp && this.status === 'approved') this.mayPay = true
    const result = { mode: 'reevaluate', approval: { grant_id: grantId } }
    const task = { id: this.#last, status: this.status, expires_at: '2030-01-01T00:00:00Z' }
    if (this.split !== undefined && this.status === 'approved' && !isStepUp) {
      const items = Object.entries(this.split).map(([name, grant]) => ({
        ...{ resource: this.#resource(name), action: { name: 'tools/call' }, status: 'approved' },
        result: { mode: 'reevaluate', approval: { grant_id: grant } },
      }))
      return { body: { task: { ...task, items } } }
    }
    return { body: { task, ...(this.status === 'approved' && !isStepUp ? { result } : {}) } }
  }

  #gateway({ path, headers, text, proof }: Received): Reply {
    if (path.startsWith('/.well-known/')) return { body: { resource: path, bailiwick_tool_server: this.toolServer } }
    if (path !== '/mcp/books') return { status: 404, body: {} }
    const message: Anything = text === '' ? {} : JSON.parse(text)
    const { id, method, params = {} } = message
    if (headers.authorization === undefined) return denial(id, 'credential_missing', 401)
    if (proof === undefined) return denial(id, 'proof_invalid', 401)
    if ('result' in message || 'error' in message) {
      if (this.deniesAnswers !== undefined) return denial(null, this.deniesAnswers, 403)
      this.answers.push({ message, session: headers['mcp-session-id'], actionDigest: proof.actionDigest })
      return { status: 202 }
    }
    const grant = headers.authorization.replace('DPoP token-', '')
    const session = String(headers['mcp-session-id'])
    if (this.split !== undefined && headers['mcp-session-id'] !== undefined && this.begun.get(session) !== grant)
      return { status: 404, body: { jsonrpc: '2.0', id, error: { code: -32600, message: 'not of this grant' } } }
    if (id === undefined) return { status: 202 }
    if (method === 'prompts/get' && this.deniesPrompts !== undefined) return denial(id, this.deniesPrompts)
    if (this.isWithdrawn && method === 'initialize') return denial(id, 'grant_revoked')
    if (this.isWithdrawn)
      return { status: 404, body: { jsonrpc: '2.0', id, error: { code: -32600, message: 'There is no such session' } } }
    const result = (value: JsonObject, more: Record<string, string> = {}): Reply => ({
      headers: more,
      body: { jsonrpc: '2.0', id, result: value },
    })
    const denied = method === 'initialize' ? this.deniesBeginnings.shift() : undefined
    if (denied !== undefined) return denial(id, denied)
    if (method === 'initialize') {
      const name = `behind-${this.fake.at('/mcp/').length}`
      this.begun.set(name, grant)
      return result(
        { protocolVersion: '2025-11-25', capabilities: { prompts: {} }, serverInfo: { name: 'books' } },
        { 'mcp-session-id': name },
      )
    }
    const { split } = this
    const shown = this.tools.filter(({ name }) => split === undefined || split[String(name)] === grant)
    if (method === 'tools/list') return result({ tools: shown })
    if (method === 'tools/call' && split !== undefined && split[params.name] !== grant)
      return denial(id, this.ended.has(grant) ? 'grant_revoked' : 'action_not_granted')
    if (this.ended.has(grant)) return denial(id, 'grant_revoked')
    if (method !== 'tools/call') return { body: { jsonrpc: '2.0', id, error: { code: -32601, message: 'no' } } }
    const action = { name: 'tools/call', properties: params.arguments ?? {}, resource: this.#resource(params.name) }
    if (proof.actionDigest !== actionDigest(action)) return denial(id, 'proof_action_mismatch', 401)
    if (params.name === 'pay' && !this.mayPay) return denial(id, 'step_up_required')
    if (params.name === 'lie') return denial(id, params.arguments.code, 200, {})
    this.effects.push({ name: params.name, args: params.arguments ?? {} })
    const done = { jsonrpc: '2.0', id, result: { content: [{ type: 'text', text: `${params.name} done` }] } }
    if (this.before.length === 0) return { body: done }
    const events = [...this.before.splice(0), ...(params.name === 'broken' ? [] : [done])]
    const lines = events.map((each, n) => `id: e-${n}\ndata: ${JSON.stringify(each)}\n\n`)
    return { headers: { 'content-type': 'text/event-stream' }, text: lines.join('') }
  }

  #resource(name: string) {
    return { type: 'tool', id: `${this.toolServer}/${name}` }
  }

  /** Sends a message as a client of streamable HTTP. */
  async send(
    message: Anything,
    { era = 'legacy', session }: { era?: Era; session?: string | undefined } = {},
  ): Promise<Sent> {
    const named = message.params?.name
    const headers = [
      ...['content-type', 'application/json', 'accept', 'application/json, text/event-stream'],
      ...(era === 'modern' ? ['mcp-protocol-version', modernVersion, 'mcp-method', message.method] : []),
      ...(era === 'modern' && named !== undefined ? ['mcp-name', named] : []),
      ...(session === undefined ? [] : ['mcp-session-id', session]),
    ]
    const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...message }))
    const answer = await this.sidecar.exchange({ method: 'POST', headers, body }, new AbortController().signal)
    return sentOf(answer)
  }

  /** A call of a tool; in the modern era of a client with these capabilities. */
  call(
    name: string,
    args: object = {},
    { capabilities, ...more }: { capabilities?: object } & JsonObject = {},
  ): Promise<Sent> {
    const meta =
      capabilities === undefined
        ? {}
        : {
            'io.modelcontextprotocol/protocolVersion': modernVersion,
            'io.modelcontextprotocol/clientCapabilities': capabilities,
          }
    const params = { name, arguments: args, ...more, _meta: { ...meta, progressToken: 'p' } }
    return this.send({ id: 1, method: 'tools/call', params }, { era: capabilities === undefined ? 'legacy' : 'modern' })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sidecar[Symbol.asyncDispose]()
    await this.fake[Symbol.asyncDispose]()
  }
}

export interface Sent {
  status: number
  session: string | undefined
  messages: Anything[]
  /** The last message. */
  message: Anything
  text: string
}

async function sentOf({ status, headers, body }: ClientAnswer): Promise<Sent> {
  const text = (await wholeOf(body)).toString('utf8')
  const isStream = headers.includes('text/event-stream')
  const texts = isStream
    ? [...text.matchAll(/^data: ?(.*)$/gm)].map(([, data = '']) => data)
    : text === ''
      ? []
      : [text]
  const messages = texts.map((each) => JSON.parse(each))
  const at = headers.indexOf('mcp-session-id')
  return { status, session: at < 0 ? undefined : headers[at + 1], messages, message: messages.at(-1), text }
}

export const tool = (name: string): JsonObject => ({
  name,
  description: `Does ${name}.`,
  inputSchema: { type: 'object' },
})

const authority = {
  type: 'bailiwick_task',
  task: 'month-end',
  permissions: [{ actions: ['tools/call'], resource: { type: 'tool', id: 'billing/pay' } }],
  budget: { calls: 100 },
  max_depth: 0,
  max_children: 0,
}

/** Three parts in base64url, as every token of a denial has. */
const bindingToken = ['{"alg":"ES256"}', '{}', 'signature']
  .map((part) => Buffer.from(part).toString('base64url'))
  .join('.')

/** In the words of a gateway; by the field of `headers` one of the gateway itself. */
function denial(
  id: unknown,
  code: string,
  status = 200,
  headers: Record<string, string> = { 'bailiwick-denied': code },
): Reply {
  const access_request = {
    endpoint: 'https://elsewhere.example',
    expires_at: '2030-01-01T00:00:00Z',
    binding_token: bindingToken,
  }
  const retry_after = retrySecondsOf(code as DenialReason)
  const data = { code, reason: 'Ask a human.', requestable: true, access_request, retry_after }
  return { status, headers, body: { jsonrpc: '2.0', id, error: { code: -32001, message: `Denied: ${code}`, data } } }
}

export const ask = {
  task: 'month-end',
  permissions: [{ tool: 'read' }, { tool: 'pay', where: { '/amount': { max: '500' } }, max_uses: 3 }],
  limits: { minutes: 30, calls: 20 },
  reason: 'Close the month.',
}

export const namesIn = ({ message }: Sent): string[] => message.result.tools.map(({ name }: { name: string }) => name)
export const textIn = ({ message }: Sent): string => message.result.content[0].text
