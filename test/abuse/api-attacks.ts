import { type ApiWorld, openApiWorld } from '../e2e/api-world.ts'
import { exchangeRaw, passing, RawAgent, type RawAnswer } from './raw-request.ts'
import { eventually } from './scene.ts'

/** The path of a request that the grant allows. */
export const open = '/http/plain/open/x'

export interface Attack {
  method?: string
  target?: string
  version?: string
  /** The whole request line, in place of the three. */
  line?: string
  /** The path that the proof is for. */
  path?: string
  body?: string | Buffer
  /** Instead of the fields that the request would have. */
  fields?: (fields: string[]) => string[]
}

/** An agent that attacks the HTTP APIs behind a gateway with a credential that allows something. */
export class ApiAttacker implements AsyncDisposable {
  readonly at: ApiWorld
  readonly agent: RawAgent

  private constructor(at: ApiWorld, agent: RawAgent) {
    this.at = at
    this.agent = agent
  }

  /** The gateway's port speaks HTTP/2 too, which must change nothing for those who write HTTP/1.1. */
  static async open(options: Parameters<typeof openApiWorld>[0] = {}): Promise<ApiAttacker> {
    await using opening = new AsyncDisposableStack()
    const at = opening.use(await openApiWorld({ http2: true, ...options }))
    const { grantId } = await at.world.granted(at.authority)
    const agent = await RawAgent.open(at.world, grantId)
    opening.move()
    return new ApiAttacker(at, agent)
  }

  /** What came back, and whether anything reached the API. Made again while a busy machine keeps it from being decided. */
  async attack(made: Attack): Promise<RawAnswer & { arrived: number }> {
    const { api } = this.at
    const before = api.arrived.length
    const answer = await eventually('it is decided', async () => {
      const given = await this.#send(made)
      const [, nonce] = /\r\ndpop-nonce: (\S+)/i.exec(given.head) ?? []
      if (nonce !== undefined) this.agent.nonce = nonce
      return nonce !== undefined || passing.has(given.code ?? '') ? undefined : given
    })
    return { ...answer, arrived: api.arrived.length - before }
  }

  #send({ method = 'GET', target = open, version = 'HTTP/1.1', line, path = open, body, fields }: Attack) {
    const { url } = this.at.world
    const usual = [
      `Host: ${new URL(url).host}`,
      'Accept: application/json',
      'Connection: close',
      ...this.agent.fields(method, `${url}${path}`),
      ...(body === undefined ? [] : ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`]),
    ]
    const made = { line: line ?? `${method} ${target} ${version}`, fields: fields?.(usual) ?? usual }
    return exchangeRaw(url, body === undefined ? made : { ...made, body })
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.at[Symbol.asyncDispose]()
  }
}

export const without = (fields: string[], name: string) =>
  fields.filter((field) => !field.toLowerCase().startsWith(`${name}:`))
export const replaced = (fields: string[], name: string, ...lines: string[]) => [...without(fields, name), ...lines]
export const plus =
  (...lines: string[]) =>
  (fields: string[]) => [...fields, ...lines]

/** Creates an invoice, by operation. */
export const create = (body: string | Buffer, more: Partial<Attack> = {}): Attack => ({
  ...{ method: 'POST', target: '/http/erp/invoices', path: '/http/erp/invoices', body },
  ...more,
})
/** Sends the body as it is, as chunks. */
export const chunked = (body: string, ...lines: string[]): Partial<Attack> => ({
  body,
  fields: (fields) => [...without(fields, 'content-length'), 'Transfer-Encoding: chunked', ...lines],
})

/** Sends the body with these fields in place of its length. */
export const framed = (body: string, ...lines: string[]): Partial<Attack> => ({
  body,
  fields: (fields) => [...without(fields, 'content-length'), ...lines],
})
