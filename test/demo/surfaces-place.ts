import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { paths } from '@bailiwick/installation'
import { sample, sampleAgentId, sampleKeyFile } from '@bailiwick/standalone/sample'
import { freePort, type RunningSystem } from '@bailiwick/testkit'
import type { PostgresServer } from '../e2e/postgres-server.ts'
import { type DjangoSite, djangoAccount } from '../judges/django-site.ts'
import { cli } from '../judges/installation.ts'
import { type Running, startScript } from '../judges/running.ts'
import { must } from './must.ts'
import { Place } from './place.ts'
import type { RefundsApi } from './refunds-api.ts'

const root = join(import.meta.dirname, '../..')
const brokerPassword = 'password-of-the-broker-0123456789'

/** Orders, a template for them, and a broker. A DBA wrote this. */
const orders = `
  CREATE TABLE orders (id integer PRIMARY KEY, note text);
  INSERT INTO orders SELECT n, 'order ' || n FROM generate_series(1, 100) n;
  CREATE TABLE salaries (id integer, amount integer);
  CREATE ROLE orders_clerk;
  GRANT SELECT, UPDATE (note) ON orders TO orders_clerk;
  CREATE ROLE broker LOGIN PASSWORD '${brokerPassword}';
  CALL bailiwick.add_broker('broker');
  INSERT INTO bailiwick.templates (role, broker) VALUES ('orders_clerk', 'broker');
`

/** The labels that a person gives each tool. `gateway pin` drafts all tools as unlabelled. */
const labels: Record<string, readonly string[]> = {
  read_note: ['reads_private'],
  write_note: ['writes'],
  tail_notes: ['reads_private'],
  refund: ['writes'],
  follow_refunds: ['reads_private'],
  list_cases: ['reads_private'],
  rename_case: ['writes'],
}

/** Each surface: its name, and the kind of entry that it has in gateway.yaml. */
const surfaces = { notes: 'mcp', refunds: 'http', orders: 'postgres', office: 'session' } as const

interface Behind {
  api: RefundsApi
  server: PostgresServer
  django: DjangoSite
}

/** A folder in which a team puts four surfaces behind the gateway. */
export class SurfacesPlace extends Place {
  private constructor(system: RunningSystem, { api, server, django }: Behind, port: number) {
    super('surfaces', system, port)
    cpSync(join(root, 'examples/mcp-servers/notes/server.mjs'), this.at('notes.mjs'))
    const secret = (name: string, text: string): string => {
      writeFileSync(this.at(name), text, { mode: 0o600 })
      return `\${secret:file:${this.at(name)}}`
    }
    const entries = {
      mcp: { notes: { command: ['node', 'notes.mjs'], pin: 'notes.pin.json' } },
      http: {
        refunds: {
          url: api.url,
          inject: { headers: { authorization: `Bearer ${secret('api-key', api.key)}` } },
          operations: {
            refund: { request: 'POST /refunds', body: { json: ['invoice', 'amount', 'currency'] } },
            follow_refunds: { request: 'GET /refunds/changes' },
          },
        },
      },
      postgres: {
        orders: {
          ...{ host: 'localhost', port: server.port, database: 'shop', ca: server.ca, template: 'orders_clerk' },
          broker: { user: 'broker', password: secret('broker-password', brokerPassword) },
        },
      },
      session: {
        office: {
          url: django.url,
          login: {
            page: '/admin/login/',
            fields: { username: djangoAccount.user, password: secret('office-password', djangoAccount.password) },
            success: { cookie: 'sessionid', page: '/admin/', shows: 'Log out' },
          },
          logout: 'POST /admin/logout/',
          token: { input: 'csrfmiddlewaretoken', page: '/admin/', field: 'csrfmiddlewaretoken' },
          closed: ['/admin/password_change'],
          operations: {
            list_cases: { request: 'GET /admin/auth/group/' },
            rename_case: {
              request: 'POST /admin/auth/group/{case}/change/',
              body: { form: ['name', '_save'] },
              done: [302],
            },
          },
        },
      },
    }
    writeFileSync(this.at('gateway.yaml'), JSON.stringify({ trust: paths(this.data).trust, ...entries }))
  }

  static async open(system: RunningSystem, behind: Behind): Promise<SurfacesPlace> {
    const { server } = behind
    await server.query('postgres', 'CREATE DATABASE shop')
    await server.file('shop', join(root, 'infra/postgres/bailiwick.sql'))
    await server.query('shop', orders)
    return new SurfacesPlace(system, behind, await freePort())
  }

  /** The address of a surface at the gateway. */
  address(name: keyof typeof surfaces): string {
    return `${this.url}/${surfaces[name]}/${name}`
  }

  /** Writes `registry.yaml`: the four surfaces, with what each tool does, and the gateway. */
  async drafted(): Promise<void> {
    const names = Object.keys(surfaces) as (keyof typeof surfaces)[]
    const served = names.flatMap((name) => ['--resource', `tool:${name}/`, '--base-url', this.address(name)])
    const drafts = await Promise.all([
      ...names.map((name) => this.#draft('gateway', 'pin', name, '--config', 'gateway.yaml')),
      this.#draft('keys', 'point', 'gateway', '--may-release', '--out', 'keys', ...served),
    ])
    const servers = drafts.slice(0, -1).map((text) => described(text).replace('tool_servers:\n', ''))
    writeFileSync(this.at('registry.yaml'), ['tool_servers:\n', ...servers, drafts.at(-1)].join(''))
  }

  async #draft(...words: string[]): Promise<string> {
    const { code, out, err } = await this.bailiwick(...words)
    must(code === 0, `${words.join(' ')} ended with ${code}: ${out}${err}`)
    return out
  }

  get #agent(): string[] {
    const id = `${sampleAgentId('reconciler')}/${sample.instance}`
    const key = sampleKeyFile(this.data, 'reconciler')
    return ['--gateway', this.url, '--trust', paths(this.data).trust, '--agent', id, '--key', key]
  }

  /** The words after `bailiwick` that serve the notes to a client of MCP. */
  sidecar(grantId: string): string[] {
    return ['agent', 'mcp', '--server', 'notes', '--grant', grantId, ...this.#agent]
  }

  /** `bailiwick agent postgres`, and the connection string that it printed. */
  async servePostgres(grantId: string): Promise<{ url: string } & AsyncDisposable> {
    const words = ['agent', 'postgres', '--database', 'orders', '--grant', grantId, ...this.#agent]
    const running: Running = startScript(cli, words, {}, this.folder)
    await running.says('sslmode=disable\n')
    const [url = ''] = /postgresql:\S+/.exec(running.output) ?? []
    return { url, [Symbol.asyncDispose]: () => running[Symbol.asyncDispose]() }
  }
}

/** A draft of `gateway pin` with what each tool does, and with what a refund costs. */
function described(draft: string): string {
  return draft.replace(/^( +)(\w+):\n +labels:\n +- unlabelled$/gm, (_, space: string, tool: string) => {
    const meant = { labels: labels[tool] ?? ['unlabelled'], ...(tool === 'refund' ? { cost: refundCost } : {}) }
    return `${space}${tool}: ${JSON.stringify(meant)}`
  })
}

/** The arguments of a refund that say what it costs. */
export const refundCost = { amount: '/amount', currency: '/currency' }
