import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { brokerPassword, openPostgresWorld, type PostgresWorld, postgresAuthority } from '../e2e/postgres-world.ts'
import { without } from './api-attacks.ts'
import { LocalClient, message, orders, PostgresAttacker, packet, query, startup } from './postgres-attacks.ts'
import type { Handshake } from './websocket-client.ts'

/*
 * What a client of PostgreSQL can say before it is connected is small, and all of it is privilege: a database, a user, settings, replication.
 * So the gateway reads it from a request that has one reading, and the program's own port passes on nothing else.
 */

let at: PostgresWorld
let attacker: PostgresAttacker
let local: { port: number; password: string }
beforeAll(async () => {
  at = await openPostgresWorld({
    settings: { logging_collector: 'on', log_directory: 'log', log_statement: 'all', log_connections: 'on' },
  })
  const { grantId } = await at.world.granted(postgresAuthority())
  attacker = await PostgresAttacker.open(at, grantId)
  local = await at.listener(grantId)
})
afterAll(() => at?.[Symbol.asyncDispose]())
afterEach(() => attacker.end())

const logged = () => {
  const folder = join(at.server.folder, 'data/log')
  return readdirSync(folder)
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('\n')
}
/** How often a role was asked for. */
const lends = () => logged().split('bailiwick.lend(').length - 1

describe('a connection that people approved', () => {
  it('is open in both directions, and what opens it is in no log of the database', async () => {
    const client = await attacker.connect()
    expect(client.status).toBe(101)
    client.send(query("SELECT 'the answer is ' || 6 * 7"))
    await expect.poll(() => client.frames).toContain('the answer is 42')
    // The DBA wrote the password before the gateway came.
    const since = logged().slice(logged().indexOf('SELECT bailiwick.sweep()'))
    expect(since).toContain('bailiwick.lend(')
    expect(since).not.toContain(brokerPassword)
  })

  it('takes settings that change how values are written', async () => {
    const client = await attacker.connect({
      target: `${orders}?client_encoding=UTF8&DateStyle=ISO,%20DMY&TimeZone=America/New_York&database=shop`,
    })
    expect(client.status).toBe(101)
    client.send(query('SHOW TimeZone'))
    await expect.poll(() => client.frames).toContain('America/New_York')
  })
})

describe.each<[string, Handshake, string]>([
  ['another database', { target: `${orders}?database=postgres` }, 'postgres_startup_refused'],
  ['another database by another case', { target: `${orders}?Database=postgres` }, 'postgres_startup_refused'],
  ['a database named twice', { target: `${orders}?database=shop&database=postgres` }, 'query_name_repeated'],
  ['options', { target: `${orders}?options=-c%20role=postgres` }, 'postgres_startup_refused'],
  ['options in another case', { target: `${orders}?OPTIONS=-c%20role=postgres` }, 'postgres_startup_refused'],
  ['replication of a database', { target: `${orders}?replication=database` }, 'postgres_startup_refused'],
  ['physical replication', { target: `${orders}?replication=true` }, 'postgres_startup_refused'],
  ['a user', { target: `${orders}?user=postgres` }, 'postgres_startup_refused'],
  ['a role', { target: `${orders}?role=postgres` }, 'postgres_startup_refused'],
  ['a session', { target: `${orders}?session_authorization=postgres` }, 'postgres_startup_refused'],
  ['a path of schemas', { target: `${orders}?search_path=evil` }, 'postgres_startup_refused'],
  ['SQL as its name', { target: `${orders}?application_name=x%27;%20DROP` }, 'query_not_canonical'],
  ['a name', { target: `${orders}?application_name=x` }, 'postgres_startup_refused'],
  ['an extension of the protocol', { target: `${orders}?_pq_.command=1` }, 'postgres_startup_refused'],
  ['a quote in a setting', { target: `${orders}?TimeZone=UTC'` }, 'postgres_startup_refused'],
  ['a backslash in a setting', { target: `${orders}?TimeZone=UTC%5C` }, 'postgres_startup_refused'],
  ['a zero byte in a setting', { target: `${orders}?TimeZone=UTC%00role%00postgres` }, 'query_not_canonical'],
  ['a line in a setting', { target: `${orders}?TimeZone=UTC%0Arole` }, 'postgres_startup_refused'],
  ['a setting without an end', { target: `${orders}?TimeZone=${'x'.repeat(65)}` }, 'postgres_startup_refused'],
  ['an entry that is not there', { target: '/postgres/payroll', path: '/postgres/payroll' }, 'route_unknown'],
  ['a path below', { target: `${orders}/shop`, path: `${orders}/shop` }, ''],
  ['a path that climbs', { target: '/postgres/x/../orders' }, ''],
  ['a POST', { method: 'POST' }, ''],
  ['no other protocol', { fields: (f) => without(without(f, 'upgrade'), 'connection') }, 'request_malformed'],
  ['a WebSocket', { fields: (f) => [...without(f, 'upgrade'), 'Upgrade: websocket'] }, ''],
  ['two protocols', { fields: (f) => [...without(f, 'upgrade'), 'Upgrade: postgresql, h2c'] }, ''],
  ['two fields of protocols', { fields: (f) => [...f, 'Upgrade: h2c'] }, ''],
  [
    'a field that the connection names',
    { fields: (f) => [...without(f, 'connection'), 'Connection: Upgrade, DPoP'] },
    '',
  ],
  ['a start-up before the answer', { early: startup({ user: 'postgres' }) }, 'request_malformed'],
  ['a statement before the answer', { early: query('DROP TABLE orders') }, 'request_malformed'],
  ['a body', { fields: (f) => [...f, 'Content-Length: 3'], early: 'abc' }, ''],
  ['no credential', { fields: (f) => without(f, 'authorization') }, 'credential_missing'],
  ['no proof', { fields: (f) => without(f, 'dpop') }, 'proof_'],
  ['a proof for another entry', { path: '/postgres/payroll' }, 'proof_'],
  ['a page of another origin', { fields: (f) => [...f, 'Origin: https://evil.example'] }, 'origin_forbidden'],
])('%s', (_, handshake, code) => {
  it('opens nothing, and no role is asked for', async () => {
    const before = lends()
    const client = await attacker.connect(handshake)
    expect([client.status >= 400 || client.status === 0, client.code ?? '']).toEqual([
      true,
      expect.stringContaining(code),
    ])
    expect(lends()).toBe(before)
  })
})

const password = () => message('p', `${local.password}\0`)
const own = startup({ user: 'agent', database: 'shop' })

describe('the port of this machine', () => {
  it('opens a connection for a client that knows its password', async () => {
    using client = new LocalClient(local.port)
    client.send(packet(80_877_103))
    await expect.poll(() => client.received).toBe('N')
    client.send(own)
    await expect.poll(() => client.received).toContain('R\0\0\0\x08\0\0\0\x03')
    client.send(password())
    await expect.poll(() => client.received, { timeout: 20_000 }).toContain('server_version')
  })
})

describe.each<[string, () => string[], RegExp]>([
  ['bytes after a request for TLS', () => [packet(80_877_103) + own], /C08P01.*before the answer/s],
  ['bytes after a request for GSS', () => [packet(80_877_104) + own], /C08P01/],
  ['two requests for TLS', () => [packet(80_877_103), packet(80_877_103)], /^N.*C08P01/s],
  ['a start-up and a password in one', () => [own + password()], /C08P01.*before the answer/s],
  ['a start-up and a statement in one', () => [own + query('SELECT 1')], /C08P01/],
  ['a TLS handshake without asking', () => ['\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03'], /C08P01/],
  ['an HTTP request', () => ['GET / HTTP/1.1\r\nHost: x\r\n\r\n'], /C08P01/],
  ['a packet of two gigabytes', () => [packet(196_608, '', 2 ** 31 - 1)], /C08P01/],
  ['a packet of negative length', () => [packet(196_608, '', -1)], /C08P01/],
  ['a packet without a code', () => [packet(196_608, '', 4).slice(0, 4)], /C08P01/],
  ['version 2 of the protocol', () => [packet(131_072, '\0')], /C08P01/],
  ['version 3.2 of the protocol', () => [packet(196_610, 'user\0agent\0\0')], /C08P01/],
  ['parameters without an end', () => [packet(196_608, 'user\0agent')], /C08P01/],
  ['a parameter twice', () => [packet(196_608, 'user\0agent\0database\0shop\0database\0postgres\0\0')], /C08P01/],
  ['the wrong password', () => [own, message('p', 'guess\0')], /C28P01/],
  ['no password', () => [own, message('p', '\0')], /C28P01/],
  ['a statement in place of the password', () => [own, query('SELECT 1')], /C08P01/],
  ['a password without an end', () => [own, message('p', 'x'.repeat(2000))], /C08P01/],
  ['a statement with the password', () => [own, password() + query('SELECT 1')], /C08P01/],
  [
    'replication',
    () => [startup({ user: 'agent', database: 'shop', replication: 'database' }), password()],
    /replication/,
  ],
  ['options', () => [startup({ user: 'agent', database: 'shop', options: '-c role=postgres' }), password()], /options/],
  [
    'another database',
    () => [startup({ user: 'agent', database: 'postgres' }), password()],
    /postgres_startup_refused/,
  ],
  ['a cancel of a connection that it does not know', () => [packet(80_877_102, Buffer.alloc(8, 1))], /^$/],
])('at the port of this machine, %s', (_, texts, answer) => {
  it('opens nothing, and no role is asked for', async () => {
    const before = lends()
    using client = new LocalClient(local.port)
    for (const text of texts()) {
      const { length } = client.received
      client.send(text)
      await expect.poll(() => client.isClosed || client.received.length > length, { timeout: 20_000 }).toBe(true)
    }
    await expect.poll(() => client.isClosed, { timeout: 20_000 }).toBe(true)
    expect(client.received).toMatch(answer)
    expect(lends()).toBe(before)
  })
})
