import { join } from 'node:path'
import { listenPostgres, type PostgresListener } from '@bailiwick/agent/sidecar'
import { systemRandom } from '@bailiwick/kit'
import { GatewayWorld, type GatewayWorldOptions, mostTries } from './gateway-world.ts'
import { PostgresServer, type PsqlRun, psql } from './postgres-server.ts'

export const brokerPassword = 'broker-password-0123456789'
export const bailiwickSql = join(import.meta.dirname, '../../infra/postgres/bailiwick.sql')

/** What the sample agent may do: connect to one database. */
export const postgresAuthority = (more: object = {}) => ({
  type: 'bailiwick_task',
  task: 'look-into-orders',
  permissions: [
    {
      actions: ['tools/call'],
      resource: { type: 'tool', id: 'orders/connect' },
      where: { '/database': { eq: 'shop' } },
    },
  ],
  budget: { calls: 1000 },
  max_depth: 0,
  max_children: 0,
  ...more,
})

/** Tables of a shop, a template for its orders, and a broker. A DBA wrote this. */
export const shop = `
  CREATE TABLE orders (id integer PRIMARY KEY, note text);
  INSERT INTO orders SELECT n, 'order ' || n FROM generate_series(1, 100) n;
  CREATE TABLE salaries (id integer, amount integer);
  CREATE ROLE orders_clerk;
  GRANT SELECT, UPDATE (note) ON orders TO orders_clerk;
  CREATE ROLE broker LOGIN PASSWORD '${brokerPassword}';
  CALL bailiwick.add_broker('broker');
  INSERT INTO bailiwick.templates (role, broker) VALUES ('orders_clerk', 'broker');
`

/** An installation, its gateway in front of a real PostgreSQL, and an agent whose program is a client of PostgreSQL. */
export interface PostgresWorld extends AsyncDisposable {
  world: GatewayWorld
  server: PostgresServer
  /** What serves the database to programs of this machine, under a grant. */
  listener(grantId: string): Promise<PostgresListener & { url: string }>
  /** Runs psql through the gateway: again while a busy machine keeps the connection from being decided. */
  psql(url: string, ...args: string[]): Promise<PsqlRun>
  /** The roles that are lent now. */
  lent(): Promise<string[]>
}

export async function openPostgresWorld(
  options: Omit<GatewayWorldOptions, 'databases'> & {
    entry?: object
    settings?: Record<string, string>
    bin?: string
  } = {},
): Promise<PostgresWorld> {
  const { entry, settings, bin, ...rest } = options
  await using opening = new AsyncDisposableStack()
  const server = opening.use(await PostgresServer.start(settings, bin))
  await server.query('postgres', 'CREATE DATABASE shop')
  await server.file('shop', bailiwickSql)
  await server.query('shop', shop)
  const orders = {
    ...{ host: 'localhost', port: server.port, database: 'shop', ca: server.ca, template: 'orders_clerk' },
    broker: { user: 'broker', password: `\${secret:env:BROKER_PASSWORD}` },
    ...entry,
  }
  const world = opening.use(
    await GatewayWorld.open({
      ...rest,
      databases: { orders },
      env: { BROKER_PASSWORD: brokerPassword, ...rest.env },
    }),
  )
  const owned = opening.move()
  return {
    ...{ world, server },
    async listener(grantId) {
      const listener = owned.use(
        await listenPostgres({
          ...{ agent: world.agent(), address: `${world.url}/postgres/orders`, random: systemRandom },
          grants: () => [grantId],
        }),
      )
      const { port, password } = listener
      return Object.assign(listener, { url: `postgresql://agent:${password}@127.0.0.1:${port}/shop` })
    },
    async psql(url, ...args) {
      for (let tries = 1; ; tries++) {
        const ran = await psql(url, args)
        if (ran.code === 0 || !busy.test(ran.said) || tries === mostTries) return ran
        await new Promise((resolve) => setTimeout(resolve, 300))
      }
    },
    async lent() {
      const names = await server.query('postgres', "SELECT rolname FROM pg_roles WHERE rolname LIKE 'bailiwick\\_%'")
      return names === '' ? [] : names.split('\n')
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

const busy =
  /\((?:deadline_exceeded|evidence_unavailable|pdp_unavailable|state_stale|queue_full|credential_unrecorded|service_\w+)\)/
