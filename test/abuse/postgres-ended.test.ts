import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { listenPostgres } from '@bailiwick/agent/sidecar'
import { systemRandom } from '@bailiwick/kit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { psql } from '../e2e/postgres-server.ts'
import { brokerPassword, openPostgresWorld, type PostgresWorld, postgresAuthority } from '../e2e/postgres-world.ts'
import { message, PostgresAttacker, query } from './postgres-attacks.ts'
import { eventually } from './scene.ts'
import { RawWebSocket } from './websocket-client.ts'

/*
 * A role must not outlive its connection, however that ends: by its client, by a person, by its time, with the gateway, or with the
 * connection that lent it.
 */

let at: PostgresWorld
beforeAll(async () => {
  at = await openPostgresWorld({ entry: { minutes: 1 } })
})
afterAll(() => at?.[Symbol.asyncDispose]())

const roleless = () => expect.poll(() => at.lent(), { timeout: 60_000 }).toEqual([])
const sessions = async () =>
  Number(await at.server.query('postgres', "SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'bailiwick\\_%'"))
const granted = async () => {
  const grant = await at.world.granted(postgresAuthority())
  return { ...grant, attacker: await PostgresAttacker.open(at, grant.grantId) }
}

describe.each<[string, string]>([
  ['a statement', 'SELECT pg_sleep(3600)'],
  ['a statement that locks', 'BEGIN; SELECT * FROM orders FOR UPDATE; SELECT pg_sleep(3600)'],
  ['a COPY that it reads', "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 1000000)) TO STDOUT"],
  ['a transaction that waits', "BEGIN; UPDATE orders SET note = 'changed'"],
])('a withdrawal in the middle of %s', (_, sql) => {
  it('ends the connection and what it runs, and its role (V7)', async () => {
    const { attacker, requestId } = await granted()
    const client = await attacker.connect()
    client.send(query(sql))
    await eventually('it runs', async () => (await sessions()) === 1)
    await at.world.approver.withdraw(requestId)
    await expect.poll(() => client.isClosed, { timeout: 20_000 }).toBe(true)
    await roleless()
    expect(await sessions()).toBe(0)
    expect(await at.server.query('shop', "SELECT count(*) FROM orders WHERE note = 'changed'")).toBe('0')
  })
})

it('a withdrawn statement ends also while the database drops another role (V7)', async () => {
  const { attacker, requestId } = await granted()
  const client = await attacker.connect()
  client.send(query('SELECT pg_sleep(3600)'))
  await eventually('it runs', async () => (await sessions()) === 1)
  // The lock that is held while a role that owns very much is dropped.
  let isDropping = true
  const lock = 'BEGIN; LOCK TABLE bailiwick.loans IN SHARE ROW EXCLUSIVE MODE; SELECT pg_sleep(20); COMMIT'
  const dropping = at.server.query('shop', lock).finally(() => {
    isDropping = false
  })
  await at.world.approver.withdraw(requestId)
  await expect.poll(sessions, { timeout: 10_000 }).toBe(0)
  expect(isDropping).toBe(true)
  await dropping
  await roleless()
})

it('a client that leaves in the middle of a statement leaves nothing that runs (V7)', async () => {
  const { attacker } = await granted()
  const client = await attacker.connect()
  client.send(query('SELECT pg_sleep(3600)'))
  await eventually('it runs', async () => (await sessions()) === 1)
  attacker.end()
  await roleless()
  expect(await sessions()).toBe(0)
  void client
})

it('a connection that is silent ends with its minutes, and its role too', async () => {
  const { attacker } = await granted()
  const client = await attacker.connect()
  const begun = performance.now()
  await expect.poll(() => client.isClosed, { timeout: 100_000 }).toBe(true)
  expect(performance.now() - begun).toBeGreaterThan(50_000)
  await roleless()
})

it('connections end when the one that lent their roles is ended, and their roles too', async () => {
  const { attacker } = await granted()
  const client = await attacker.connect()
  await at.server.query('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'broker'")
  await expect.poll(() => client.isClosed, { timeout: 20_000 }).toBe(true)
  await roleless()
  expect((await attacker.connect()).status).toBe(101)
  attacker.end()
  await roleless()
})

it('a gateway that is killed in the middle of a statement leaves no role: another one drops it', async () => {
  const replica = await at.world.replica({ BROKER_PASSWORD: brokerPassword })
  const { grantId } = await granted()
  const agent = at.world.agent()
  await using listener = await listenPostgres({
    agent: {
      // The proof is for the public address, behind which the replica stands.
      fetch: (url, init, call) =>
        agent.fetch(url, init, {
          ...call,
          via: (to, given) => (call.via ?? fetch)(String(to).replace(at.world.url, replica.url), given),
        }),
    },
    ...{ address: `${at.world.url}/postgres/orders`, random: systemRandom, grants: () => [grantId] },
  })
  const running = psql(`postgresql://agent:${listener.password}@127.0.0.1:${listener.port}/shop`, [
    ...['-c', 'SELECT pg_sleep(3600)'],
  ])
  await eventually('it runs', async () => (await sessions()) === 1)
  process.kill(replica.pid, 'SIGKILL')
  expect((await running).code).toBe(2)
  await roleless()
  expect(await sessions()).toBe(0)
  await replica[Symbol.asyncDispose]()
})

it('a connection ends at the bytes of its budget, and its role goes (V9)', async () => {
  const { grantId } = await at.world.granted(postgresAuthority({ budget: { calls: 10, egress_bytes: 20_000 } }))
  const attacker = await PostgresAttacker.open(at, grantId)
  const client = await attacker.connect()
  client.send(query("SELECT repeat('x', 1000) FROM generate_series(1, 100)"))
  await expect.poll(() => client.isClosed, { timeout: 20_000 }).toBe(true)
  expect(client.frames.length).toBeLessThanOrEqual(20_000)
  await roleless()
})

describe('the seconds of connections', () => {
  /** The entry lets a connection last for 60 s. */
  const withSeconds = async (seconds: string, more: object = {}) => {
    const [permission] = postgresAuthority().permissions
    const { grantId } = await at.world.granted(
      postgresAuthority({
        permissions: [{ ...permission, cost: { amount: '/cost/amount', currency: '/cost/currency' } }],
        budget: { calls: 10, cost: { SEC: seconds }, ...more },
      }),
    )
    return PostgresAttacker.open(at, grantId)
  }

  it('are reserved before a role is lent, and what was not used goes back (V9)', async () => {
    const attacker = await withSeconds('70')
    const first = await attacker.connect()
    expect(first.status).toBe(101)
    // 10 are left, and then none.
    const second = await attacker.connect()
    expect(second.status).toBe(101)
    expect(await attacker.connect()).toMatchObject({ code: 'budget_reserved' })
    first.send(message('X'))
    await expect.poll(() => first.isClosed, { timeout: 10_000 }).toBe(true)
    const begun = performance.now()
    await expect.poll(() => second.isClosed, { timeout: 20_000 }).toBe(true)
    expect(performance.now() - begun).toBeLessThan(12_000)
    expect(
      await eventually('some are back', async () => {
        const { status } = await attacker.connect()
        return status === 101 ? status : undefined
      }),
    ).toBe(101)
    attacker.end()
    await roleless()
  })

  it('are gone once the connection has lasted for them (V9)', async () => {
    const attacker = await withSeconds('3')
    const only = await attacker.connect()
    expect(only.status).toBe(101)
    await expect.poll(() => only.isClosed, { timeout: 10_000 }).toBe(true)
    await roleless()
    await expect.poll(async () => (await attacker.connect()).code, { timeout: 10_000 }).toBe('budget_exhausted')
  })
})

it('an agent has no more connections at the same time than the entry says, and gets one once another ends (V18)', async () => {
  const { attacker } = await granted()
  for (let n = 0; n < 4; n++) expect((await attacker.connect()).status).toBe(101)
  const refused = RawWebSocket.open(at.world.url, attacker.agent, attacker.handshake())
  await expect.poll(() => refused.isAnswered, { timeout: 20_000 }).toBe(true)
  expect([refused.status, refused.code]).toEqual([429, 'queue_full'])
  expect(await at.lent()).toHaveLength(4)
  refused[Symbol.dispose]()
  attacker.end()
  await roleless()
  expect((await attacker.connect()).status).toBe(101)
  attacker.end()
})

/** The verifier of the password `lent`, as PostgreSQL makes one. */
const verifier =
  'SCRAM-SHA-256$4096:JF5gnRGj2KyV1IVsoWHzDw==$MXQXZ9nMRaG1n0h3kB6ZkHCiYVY2sMp2dSGoEPYHMyU=:hLTJ5vJ6DIlxbYkE3YYgfA1h0kP0ZEcG9ksZJt8UgqA='
const broker = () => `postgresql://broker:${brokerPassword}@localhost:${at.server.port}/shop`

it.each<[string, string[]]>([
  ['in the middle of lending', ['BEGIN', 'lend', 'SELECT pg_sleep(3600)']],
  ['once it has lent', ['lend', 'SELECT pg_sleep(3600)']],
  ['once the door is closed', ['lend', "SELECT bailiwick.close_door('bailiwick_killed')", 'SELECT pg_sleep(3600)']],
  [
    'in the middle of taking back',
    ['lend', 'BEGIN', "SELECT bailiwick.reclaim('bailiwick_killed')", 'SELECT pg_sleep(3600)'],
  ],
])('a broker that is killed %s leaves no role', async (_, steps) => {
  const lend = `SELECT bailiwick.lend('orders_clerk', 'bailiwick_killed', '${verifier}', 60)`
  const args = steps.flatMap((step) => ['-c', step === 'lend' ? lend : step])
  const child = spawn('psql', ['-X', '-q', '-d', broker(), ...args], {
    env: { PATH: process.env.PATH },
    stdio: 'ignore',
  })
  await eventually('it sleeps', async () => {
    const count = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'broker' AND query LIKE 'SELECT pg_sleep%'"
    return Number(await at.server.query('postgres', count)) === 1
  })
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
  // The kernel closes its connection. A server that still works for it notices only when it answers.
  await at.server.query(
    'postgres',
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'",
  )
  await roleless()
})

describe('a template that must not be lent', () => {
  it.each<[string, string, string, string]>([
    [
      'a superuser',
      'ALTER ROLE orders_clerk SUPERUSER',
      'ALTER ROLE orders_clerk NOSUPERUSER',
      'the template is a superuser',
    ],
    [
      'a maker of roles',
      'ALTER ROLE orders_clerk CREATEROLE',
      'ALTER ROLE orders_clerk NOCREATEROLE',
      'the template has CREATEROLE',
    ],
    [
      'one that replicates',
      'ALTER ROLE orders_clerk REPLICATION',
      'ALTER ROLE orders_clerk NOREPLICATION',
      'REPLICATION',
    ],
    [
      'one that passes by policies',
      'ALTER ROLE orders_clerk BYPASSRLS',
      'ALTER ROLE orders_clerk NOBYPASSRLS',
      'BYPASSRLS',
    ],
    ['one that can log in', 'ALTER ROLE orders_clerk LOGIN', 'ALTER ROLE orders_clerk NOLOGIN', 'can log in'],
    [
      'a member of a role that runs programs',
      'GRANT pg_execute_server_program TO orders_clerk',
      'REVOKE pg_execute_server_program FROM orders_clerk',
      'a member',
    ],
    [
      'an owner',
      'CREATE TABLE theirs (n int); ALTER TABLE theirs OWNER TO orders_clerk',
      'DROP TABLE theirs',
      'owns something',
    ],
    [
      'one that makes objects',
      'GRANT CREATE ON SCHEMA public TO orders_clerk',
      'REVOKE CREATE ON SCHEMA public FROM orders_clerk',
      'may create',
    ],
    [
      'one that a policy names',
      'CREATE POLICY p ON orders TO orders_clerk USING (true)',
      'DROP POLICY p ON orders',
      'row-level security',
    ],
    [
      'one with a language',
      'GRANT USAGE ON LANGUAGE sql TO orders_clerk',
      'REVOKE USAGE ON LANGUAGE sql FROM orders_clerk',
      'something other than',
    ],
    [
      'one that may hang a trigger on a table',
      'GRANT ALL ON orders TO orders_clerk',
      'REVOKE ALL ON orders FROM orders_clerk; GRANT SELECT, UPDATE (note) ON orders TO orders_clerk',
      'TRIGGER on a table',
    ],
    [
      'one that may hang a trigger on a table, as all may',
      'GRANT TRIGGER ON salaries TO PUBLIC',
      'REVOKE TRIGGER ON salaries FROM PUBLIC',
      'TRIGGER on a table',
    ],
    [
      'one with settings, such as a log of its statements',
      "ALTER ROLE orders_clerk SET log_statement = 'all'",
      'ALTER ROLE orders_clerk RESET ALL',
      'has settings',
    ],
    [
      'one with settings for this database',
      "ALTER ROLE orders_clerk IN DATABASE shop SET temp_file_limit = '1GB'",
      'ALTER ROLE orders_clerk IN DATABASE shop RESET ALL',
      'has settings',
    ],
    [
      'one that the DBA took from the list',
      'DELETE FROM bailiwick.templates',
      "INSERT INTO bailiwick.templates (role, broker) VALUES ('orders_clerk', 'broker')",
      '',
    ],
  ])('%s is refused, and said to be in evidence', async (_, make, unmake, fault) => {
    await at.server.query('shop', make)
    try {
      if (fault !== '')
        expect(await at.server.query('shop', "SELECT bailiwick.template_fault('orders_clerk')")).toContain(fault)
      const { attacker } = await granted()
      const client = await attacker.connect()
      expect([client.status, client.code]).toEqual([502, 'postgres_role_not_lent'])
      expect(await at.lent()).toEqual([])
    } finally {
      await at.server.query('shop', unmake)
    }
  })
})

it('an agent that grants its role to the template keeps it from no other (V18)', async () => {
  const { attacker } = await granted()
  const client = await attacker.connect()
  // Since PostgreSQL 15 it is refused: the superuser then does it in its place.
  client.send(query("DO $$ BEGIN EXECUTE format('GRANT %I TO orders_clerk', session_user); END $$"))
  await expect.poll(() => client.frames).toMatch(/DO\0|must have admin option|permission denied/)
  const [role] = await at.lent()
  await at.server.query('shop', `GRANT "${role}" TO orders_clerk`)
  expect(await at.server.query('shop', "SELECT bailiwick.template_fault('orders_clerk')")).toBe('')
  expect((await attacker.connect()).status).toBe(101)
  attacker.end()
  await roleless()
})

it('a role that is slow to be dropped ends no connection of another agent (V18)', async () => {
  const { attacker } = await granted()
  const [own, other] = [await attacker.connect(), await attacker.connect()]
  await at.server.query(
    'shop',
    `CREATE FUNCTION slow() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(12); END $$;
     CREATE EVENT TRIGGER slow ON ddl_command_start WHEN TAG IN ('DROP OWNED') EXECUTE FUNCTION slow()`,
  )
  try {
    own[Symbol.dispose]()
    await new Promise((resolve) => setTimeout(resolve, 11_000))
    other.send(query("SELECT 'still ' || 'here'"))
    await expect.poll(() => other.frames, { timeout: 5000 }).toContain('still here')
  } finally {
    await at.server.query('shop', 'DROP EVENT TRIGGER slow; DROP FUNCTION slow')
    attacker.end()
    await roleless()
  }
})

it.each([
  ['a lock on the role', (role: string) => `CREATE TEMP TABLE t (n int); GRANT SELECT ON t TO "${role}"`],
  // Up to PostgreSQL 14 an agent can make its other role a member by itself: here the superuser does it in its place.
  ['what the role owns', (role: string) => `SET ROLE "${role}"; CREATE TEMP TABLE t (n int)`],
])('a role goes although another connection of its agent holds %s (V7)', async (_, holds) => {
  const { attacker } = await granted()
  const first = await attacker.connect()
  const [role = ''] = await at.lent()
  const other = await attacker.connect()
  const [another = ''] = (await at.lent()).filter((each) => each !== role)
  await at.server.query('shop', `GRANT "${role}" TO "${another}"`)
  other.send(query(`BEGIN; ${holds(role)}`))
  await expect.poll(() => other.frames).toMatch(/GRANT\0|CREATE TABLE\0/)
  first[Symbol.dispose]()
  await expect.poll(() => at.lent(), { timeout: 4000 }).not.toContain(role)
  attacker.end()
  await roleless()
})

it('a role that cannot be dropped keeps no other, and goes once it can be', async () => {
  const lend = (name: string) => `SELECT bailiwick.lend('orders_clerk', '${name}', '${verifier}', 60);`
  // More large objects than the server can lock at once.
  await at.server.query(
    'shop',
    `SET SESSION AUTHORIZATION broker; ${lend('bailiwick_many')} ${lend('bailiwick_other')} RESET SESSION AUTHORIZATION;
     SET ROLE bailiwick_many; SELECT count(lo_create(0)) FROM generate_series(1, 40000)`,
  )
  await expect.poll(() => at.lent(), { timeout: 60_000 }).toEqual(['bailiwick_many'])
  const { attacker } = await granted()
  expect((await attacker.connect()).status).toBe(101)
  attacker.end()
  await expect.poll(() => at.lent(), { timeout: 60_000 }).toEqual(['bailiwick_many'])
  await at.server.query(
    'shop',
    `DO $$ BEGIN LOOP
       PERFORM lo_unlink(few.oid) FROM (SELECT oid FROM pg_largeobject_metadata LIMIT 2000) few;
       EXIT WHEN NOT FOUND;
       COMMIT;
     END LOOP; END $$`,
  )
  await roleless()
})

it('connections end when the file names their database no longer, and their roles too', async () => {
  const { attacker } = await granted()
  const client = await attacker.connect()
  client.send(query('SELECT pg_sleep(3600)'))
  await eventually('it runs', async () => (await sessions()) === 1)
  at.world.rewrite((mcp) => mcp, { postgres: {} })
  expect(at.world.gateway.reload()).toBe(undefined)
  await expect.poll(() => client.isClosed, { timeout: 20_000 }).toBe(true)
  await roleless()
  expect(await sessions()).toBe(0)
  expect((await attacker.connect()).code).toBe('route_unknown')
})
