import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { generateKey, writeKeyFile } from '@bailiwick/credentials'
import { pricesHash, pricesSchema } from '@bailiwick/gateway/model-prices'
import type { InitialEntities } from '@bailiwick/installation'
import { freePort } from '@bailiwick/testkit'
import { Server } from '../pdp/server.ts'

/** What reached the upstream. */
export interface Reached {
  items: number
  completions: number
}

/** The names of the API and of the provider of models in `gateway.yaml`. */
const [api, name] = ['items', 'bench']
const gatewayMain = join(import.meta.dirname, '../../../services/gateway/src/main.ts')

/** A million tokens of input cost 1 USD, a million of output 100. */
export const price = { input: '1', output: '100', most_output: 1000 }
const prices = { version: '2026-11-29', currency: 'USD', models: { small: price } }
export const costPointers = { amount: '/cost/amount', currency: '/cost/currency' }

/** An API and a provider of models, and the place of the gateway in front of both, before there is an installation that knows them. */
export class UpstreamPlace implements AsyncDisposable {
  readonly upstream: Server
  /** Of the upstream, as the gateway and others call it. */
  readonly upstreamUrl: string
  /** Of the gateway. */
  readonly url: string
  readonly #dir: string
  readonly #port: number
  readonly #owned = new AsyncDisposableStack()

  private constructor(dir: string, upstream: Server, port: number) {
    this.#dir = dir
    this.#port = port
    this.upstream = this.#owned.use(upstream)
    this.upstreamUrl = upstream.url.replace('localhost', '127.0.0.1')
    this.url = `http://localhost:${port}`
  }

  static async prepare(dir: string): Promise<UpstreamPlace> {
    mkdirSync(dir, { recursive: true })
    const main = join(import.meta.dirname, 'upstream-main.ts')
    const upstream = await Server.start({ main, env: {}, port: await freePort() })
    return new UpstreamPlace(dir, upstream, await freePort())
  }

  get itemsUrl(): string {
    return `${this.url}/http/${api}/v1/items/1`
  }

  get completionsUrl(): string {
    return `${this.url}/models/${name}/v1/chat/completions`
  }

  /** The initial registry of an installation, with the prices and the gateway added. */
  readonly entities = (sample: InitialEntities): InitialEntities => {
    const [caller, outcome] = [generateKey('pep-caller'), generateKey('outcome')]
    writeKeyFile(join(this.#dir, 'keys'), 'gateway-caller', caller)
    writeKeyFile(join(this.#dir, 'keys'), 'gateway-outcome', outcome)
    const entry = { api: 'openai', url: `${this.upstreamUrl}/`, betas: [], prices: pricesSchema.parse(prices) }
    const provider = {
      ...{ id: name, url: entry.url, manifest: pricesHash(entry) },
      tools: { small: { labels: [], cost: costPointers } },
    }
    const point = {
      ...{ id: 'gateway', caller_jwk: caller.publicJwk, outcome_jwk: outcome.publicJwk, may_release: true },
      resources: [
        { type: 'api', id_prefix: `${this.upstreamUrl}/` },
        { type: 'model', id_prefix: `${name}/` },
      ],
      base_urls: [`${this.url}/http/${api}`, `${this.url}/models/${name}`],
    }
    return [
      ...sample,
      { type: 'tool-server', value: provider },
      { type: 'enforcement-point', value: point },
    ] as unknown as InitialEntities
  }

  /** Starts the gateway for this installation, as `bailiwick serve gateway` does. It ends with the place. */
  async start({ data }: { data: string }): Promise<Server> {
    const config = join(this.#dir, 'gateway.yaml')
    const http = { [api]: { url: this.upstreamUrl } }
    const models = { [name]: { api: 'openai', url: `${this.upstreamUrl}/`, prices } }
    writeFileSync(config, JSON.stringify({ trust: join(data, 'trust.json'), http, models }))
    const env = { BAILIWICK_DATA: join(this.#dir, 'data'), BAILIWICK_GATEWAY_CONFIG: config }
    return this.#owned.use(await Server.start({ main: gatewayMain, env, port: this.#port }))
  }

  async reached(): Promise<Reached> {
    return (await fetch(`${this.upstream.url}/counts`)).json() as Promise<Reached>
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned[Symbol.asyncDispose]()
  }
}
