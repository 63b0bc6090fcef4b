import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { generateKey, writeKeyFile } from '@bailiwick/credentials'
import { pinServer } from '@bailiwick/gateway/pin'
import type { InitialEntities } from '@bailiwick/installation'
import { systemRandom } from '@bailiwick/kit'
import { openSecrets } from '@bailiwick/relay'
import { freePort } from '@bailiwick/testkit'
import { Server } from '../pdp/server.ts'

/** What reached the server of MCP. */
export interface Counts {
  calls: number
  streams: number
  /** Streams that are open now. */
  open: number
}

/** The server's name in the registry and in paths. */
export const serverName = 'bench'
/** The gateway's name in the registry. */
export const point = 'gateway'
const mcpServer = join(import.meta.dirname, 'mcp-server-main.ts')
const gatewayMain = join(import.meta.dirname, '../../../services/gateway/src/main.ts')

/** A server of MCP, and the place of the gateway in front of it, before there is an installation that knows both. */
export class GatewayPlace implements AsyncDisposable {
  readonly mcp: Server
  /** The address of the server behind the gateway, as agents know it. */
  readonly url: string
  readonly #dir: string
  readonly #port: number
  readonly #entities: InitialEntities
  readonly #owned: AsyncDisposableStack

  private constructor(made: { mcp: Server; dir: string; port: number; entities: InitialEntities; url: string }) {
    this.mcp = made.mcp
    this.url = made.url
    this.#dir = made.dir
    this.#port = made.port
    this.#entities = made.entities
    this.#owned = new AsyncDisposableStack()
    this.#owned.use(made.mcp)
  }

  static async prepare(dir: string): Promise<GatewayPlace> {
    mkdirSync(dir, { recursive: true })
    await using starting = new AsyncDisposableStack()
    const mcp = starting.use(await Server.start({ main: mcpServer, env: {}, port: await freePort() }))
    const port = await freePort()
    const url = `http://localhost:${port}/mcp/${serverName}`
    const config = writeConfig(dir, mcp)
    const { server } = await pinServer({
      ...{ name: serverName, config, env: {}, secrets: openSecrets({ env: {} }), random: systemRandom },
    })
    const tools = { read: { labels: ['reads_private'] }, 'subscriptions/listen': { labels: [] } }
    const [caller, outcome] = [generateKey('pep-caller'), generateKey('outcome')]
    writeKeyFile(join(dir, 'keys'), `${point}-caller`, caller)
    writeKeyFile(join(dir, 'keys'), `${point}-outcome`, outcome)
    const entities = [
      { type: 'tool-server', value: { ...server, tools } },
      {
        type: 'enforcement-point',
        value: {
          ...{ id: point, caller_jwk: caller.publicJwk, outcome_jwk: outcome.publicJwk, may_release: true },
          ...{ resources: [{ type: 'tool', id_prefix: `${serverName}/` }], base_urls: [url] },
        },
      },
    ] as unknown as InitialEntities
    starting.move()
    return new GatewayPlace({ mcp, dir, port, entities, url })
  }

  /** The initial registry of an installation, with the server and the gateway added. */
  readonly entities = (sample: InitialEntities): InitialEntities => [...sample, ...this.#entities]

  /** Starts the gateway for this installation, as `bailiwick serve gateway` does. It ends with the place. */
  async start({ data }: { data: string }): Promise<Server> {
    const config = writeConfig(this.#dir, this.mcp, join(data, 'trust.json'))
    const env = { BAILIWICK_DATA: join(this.#dir, 'data'), BAILIWICK_GATEWAY_CONFIG: config }
    return this.#owned.use(await Server.start({ main: gatewayMain, env, port: this.#port }))
  }

  async counts(): Promise<Counts> {
    const response = await fetch(`${this.mcp.url}/counts`)
    return (await response.json()) as Counts
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned[Symbol.asyncDispose]()
  }
}

function writeConfig(dir: string, mcp: Server, trust?: string): string {
  const path = join(dir, 'gateway.yaml')
  const servers = { [serverName]: { url: `${mcp.url.replace('localhost', '127.0.0.1')}/mcp` } }
  // Many holders are instances of one agent here, and each has its streams.
  const eachAgent = { streams: 100_000 }
  writeFileSync(
    path,
    JSON.stringify({ point, ...(trust === undefined ? {} : { trust }), each_agent: eachAgent, mcp: servers }),
  )
  return path
}
