import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { psql } from '../e2e/postgres-server.ts'
import { openPostgresWorld, type PostgresWorld, postgresAuthority } from '../e2e/postgres-world.ts'
import { LocalClient, message, PostgresAttacker, packet, query } from './postgres-attacks.ts'
import { eventually } from './scene.ts'

/*
 * What an agent can do once it is connected: anything that its role may. So the role is a member of nothing, owns nothing that stays, and can
 * log in once. The gateway reads no SQL to keep it so.
 */

let at: PostgresWorld
let attacker: PostgresAttacker
let url: string
let port: number
beforeAll(async () => {
  at = await openPostgresWorld()
  const { grantId } = await at.world.granted(postgresAuthority())
  attacker = await PostgresAttacker.open(at, grantId)
  const listener = await at.listener(grantId)
  url = listener.url
  port = listener.port
})
afterAll(() => at?.[Symbol.asyncDispose]())
afterEach(() => attacker.end())

const roleless = () => expect.poll(() => at.lent(), { timeout: 30_000 }).toEqual([])

it.each<[string, string, RegExp]>([
  ['SET ROLE to its template', 'SET ROLE orders_clerk', /permission denied to set role/],
  ['SET ROLE to the superuser', 'SET ROLE postgres', /permission denied to set role/],
  ['SET ROLE to the broker', 'SET ROLE broker', /permission denied to set role/],
  ['SET LOCAL ROLE', 'BEGIN; SET LOCAL ROLE orders_clerk; COMMIT', /permission denied to set role/],
  ['SET SESSION AUTHORIZATION', 'SET SESSION AUTHORIZATION postgres', /permission denied to set session authorization/],
  ['set_config of the role', "SELECT set_config('role', 'orders_clerk', false)", /permission denied to set role/],
  [
    'SET ROLE in pieces, inside a block',
    "DO $$ BEGIN EXECUTE 'SE' || 'T ROLE ' || 'orders_clerk'; END $$",
    /permission denied to set role/,
  ],
  [
    'a function that sets the role',
    "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql SET role = 'postgres' AS 'SELECT 1'; SELECT pg_temp.f()",
    /permission denied|must be/,
  ],
  [
    'COPY to a program',
    "COPY orders TO PROGRAM 'id'",
    /permission denied to COPY to or from an external program|must be superuser/,
  ],
  ['COPY from a program', "COPY orders FROM PROGRAM 'id'", /must be superuser|permission denied/],
  ['COPY from a file', "COPY orders FROM '/etc/passwd'", /must be superuser|permission denied/],
  ['reading a file', "SELECT pg_read_file('/etc/passwd')", /permission denied/],
  ['making a superuser', 'CREATE ROLE evil SUPERUSER', /must be superuser|permission denied/],
  ['making a role', 'CREATE ROLE evil', /permission denied/],
  ['the loans of others', 'SELECT * FROM bailiwick.loans', /permission denied/],
  ['lending', "SELECT bailiwick.lend('orders_clerk', 'bailiwick_x', 'x', 60)", /permission denied/],
  ['taking back', "SELECT bailiwick.drop_lent('bailiwick_x')", /permission denied/],
  ['passing on its privileges', 'GRANT SELECT ON orders TO PUBLIC', /no privileges were granted|permission denied/],
  ['a table that stays', 'CREATE TABLE evil (n int)', /permission denied/],
  ['a schema that stays', 'CREATE SCHEMA evil', /permission denied/],
  [
    'a transaction that outlives it',
    "BEGIN; UPDATE orders SET note = ''; PREPARE TRANSACTION 'evil'",
    /prepared transactions are disabled/,
  ],
  [
    'ending the broker',
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'broker'",
    /permission denied|must be a member/,
  ],
  [
    'prolonging itself',
    "DO $$ BEGIN EXECUTE format('ALTER ROLE %I VALID UNTIL ''infinity''', session_user); END $$",
    /permission denied|must have/,
  ],
  [
    'letting itself in',
    "DO $$ BEGIN EXECUTE format('ALTER ROLE %I LOGIN', session_user); END $$",
    /permission denied|must have/,
  ],
])('%s is refused by the database itself', async (_, sql, said) => {
  const ran = await at.psql(url, '-v', 'ON_ERROR_STOP=0', '-c', sql)
  expect(`${ran.code} ${ran.said}`).toMatch(said)
})

it('RESET ROLE leads nowhere', async () => {
  const { out } = await at.psql(url, '-c', 'RESET ROLE', '-c', 'SELECT current_user = session_user')
  expect(out).toBe('t')
})

it('a password that it gave itself opens no second connection, past the gateway (V1)', async () => {
  const client = await attacker.connect()
  client.send(query("DO $$ BEGIN EXECUTE format('ALTER ROLE %I PASSWORD ''known''', session_user); END $$"))
  await expect.poll(() => client.frames).toContain('DO\0')
  const [role] = await eventually('it is lent', async () => {
    const lent = await at.lent()
    return lent.length === 1 ? lent : undefined
  })
  const { code, said } = await psql(`postgresql://${role}:known@localhost:${at.server.port}/shop`, ['-c', 'SELECT 1'])
  expect([code, said]).toEqual([2, expect.stringContaining('is not permitted to log in')])
})

it('a database that would keep objects of a role gets rid of them with it', async () => {
  const made =
    'SELECT lo_create(0); CREATE TEMP TABLE t (n int); CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS $$SELECT 1$$'
  expect((await at.psql(url, '-c', made)).code).toBe(0)
  await roleless()
  expect(await at.server.query('shop', 'SELECT count(*) FROM pg_largeobject_metadata')).toBe('0')
})

describe('two connections', () => {
  it('cannot end or cancel each other, nor share a role', async () => {
    const [one, other] = [await attacker.connect(), await attacker.connect()]
    one.send(query('SELECT pg_backend_pid() AS mine, session_user'))
    await expect.poll(() => one.frames).toContain('SELECT 1\0')
    expect(await at.lent()).toHaveLength(2)
    for (const act of ['pg_terminate_backend', 'pg_cancel_backend']) {
      other.send(
        query(`SELECT ${act}(pid) FROM pg_stat_activity WHERE usename LIKE 'bailiwick%' AND usename <> session_user`),
      )
      await expect.poll(() => other.frames.split('C42501').length - 1).toBe(act === 'pg_terminate_backend' ? 1 : 2)
    }
    one.send(query("SELECT 'still here'"))
    await expect.poll(() => one.frames).toContain('still here')
  })

  it('have keys of their own, and one with a guessed key cancels nothing', async () => {
    const running = psql(url, ['-c', "SELECT pg_sleep(3), 'undisturbed'"])
    await eventually('it runs', async () => (await sleeping()) > 0)
    const pids = await at.server.query('postgres', "SELECT pid FROM pg_stat_activity WHERE usename LIKE 'bailiwick%'")
    for (const pid of pids.split('\n')) {
      const key = Buffer.alloc(8)
      key.writeInt32BE(Number(pid))
      using client = new LocalClient(port)
      client.send(packet(80_877_102, key))
      await expect.poll(() => client.isClosed).toBe(true)
    }
    expect(await running).toMatchObject({ code: 0, out: '|undisturbed' })
  })
})

it('requests to cancel without end keep no other from a connection, nor a role from being dropped (V18)', async () => {
  const flooding = await attacker.connect()
  const flood = setInterval(() => flooding.send(message('!').repeat(13_107)), 20)
  try {
    for (let n = 0; n < 3; n++) {
      const other = await attacker.connect()
      expect(other.status).toBe(101)
      other.send(query("SELECT 'still ' || 'here'"))
      await expect.poll(() => other.frames).toContain('still here')
      other[Symbol.dispose]()
      await expect.poll(() => at.lent(), { timeout: 20_000 }).toHaveLength(1)
    }
    expect(flooding.isClosed).toBe(false)
  } finally {
    clearInterval(flood)
  }
  attacker.end()
  await roleless()
})

const sleeping = async () =>
  Number(await at.server.query('postgres', "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"))

describe.each<[string, string]>([
  ['a message of two gigabytes', message('Q', '', 2 ** 31 - 1)],
  ['a message of negative length', message('Q', '', -4)],
  ['a message shorter than its length', message('S', '', 3)],
  ['a statement of more than a mebibyte', message('Q', '', 1024 * 1024 + 100)],
  ['a statement without an end', message('Q', 'SELECT 1')],
  ['two statements in one message', message('Q', "SELECT 'one'\0DROP TABLE orders\0")],
  ['a call of a function by its number', message('F', Buffer.alloc(12))],
  ['a password', message('p', 'secret\0')],
  ['a message of no type', message('\0', 'x')],
  ['a message of a server', message('Z', 'I')],
  ['a cancel with a body', message('!', 'body')],
  ['a start-up', `${packet(196_608, 'user\0postgres\0\0')}`],
  ['a request for TLS', packet(80_877_103)],
  ['a cancel of PostgreSQL', packet(80_877_102, Buffer.alloc(8, 1))],
  ['HTTP', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'],
])('on an open connection, %s', (_, bytes) => {
  it('ends it, and nothing of it reaches the database', async () => {
    const client = await attacker.connect()
    expect(client.status).toBe(101)
    client.send(bytes)
    await expect.poll(() => client.isClosed, { timeout: 20_000 }).toBe(true)
    await roleless()
    expect(await at.server.query('shop', 'SELECT count(*) FROM orders')).toBe('100')
  })
})

describe('messages that are cut in pieces', () => {
  it('mean the same', async () => {
    const client = await attacker.connect()
    for (const byte of query("SELECT 'byte by ' || 'byte'")) client.send(byte)
    await expect.poll(() => client.frames).toContain('byte by byte')
  })

  it('and a connection that ends in the middle of one leaves no role', async () => {
    const client = await attacker.connect()
    client.send(query("SELECT 'never'").slice(0, 9))
    client.end()
    await expect.poll(() => client.isClosed, { timeout: 20_000 }).toBe(true)
    await roleless()
  })

  it('in the extended protocol too, many at once', async () => {
    const client = await attacker.connect()
    const one = (n: number) =>
      [
        message('P', `\0SELECT 'row ' || $1\0\0\0`),
        message('B', Buffer.from(`\0\0\0\0\0\x01\0\0\0${String.fromCharCode(String(n).length)}${n}\0\0`, 'latin1')),
        message('E', '\0\0\0\0\0'),
      ].join('')
    client.send(Array.from({ length: 50 }, (_, n) => one(n)).join('') + message('S'))
    await expect.poll(() => client.frames).toContain('row 49')
  })
})
