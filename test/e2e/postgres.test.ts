import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { paths } from '@bailiwick/installation'
import { sampleKeyFile } from '@bailiwick/standalone/sample'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { audit, readLog } from '../audit.ts'
import { psqlInteractive } from './postgres-server.ts'
import { openPostgresWorld, type PostgresWorld, postgresAuthority } from './postgres-world.ts'
import { eventually } from './world.ts'

/*
 * psql, unchanged, in front of the gateway, and a real PostgreSQL behind it. The agent has no password of the database; each connection is
 * one decision, and its role goes with it.
 */

const cli = join(import.meta.dirname, '../../packages/cli/src/main.ts')

let at: PostgresWorld
let url: string
let listener: Awaited<ReturnType<PostgresWorld['listener']>>
beforeAll(async () => {
  at = await openPostgresWorld()
  const { grantId } = await at.world.granted(postgresAuthority())
  listener = await at.listener(grantId)
  url = listener.url
})
afterAll(() => at?.[Symbol.asyncDispose]())

const roleless = () => expect.poll(() => at.lent(), { timeout: 30_000 }).toEqual([])

describe('a connection of psql', () => {
  it('reads and writes what the template may, and its role goes with it', async () => {
    const ran = await at.psql(
      url,
      '-c',
      "UPDATE orders SET note = 'seen' WHERE id = 7",
      '-c',
      'SELECT id, note FROM orders WHERE id = 7',
    )
    expect(ran).toEqual({ code: 0, out: '7|seen', said: '' })
    await roleless()
  })

  it.each([
    ['a table of others', 'SELECT * FROM salaries', /permission denied for table salaries/],
    ['a column of others', 'UPDATE orders SET id = 0', /permission denied for table orders/],
    ['a table of its own', 'CREATE TABLE mine (n int)', /permission denied for schema public/],
  ])('gets nothing of %s', async (_, sql, said) => {
    const ran = await at.psql(url, '-c', sql)
    expect([ran.code, ran.said]).toEqual([1, expect.stringMatching(said)])
  })

  it('is made by a role that is named after its decision', async () => {
    const { out } = await at.psql(url, '-c', 'SELECT session_user, current_user')
    expect(out).toMatch(/^(bailiwick_dec_[0-9A-Z]{26})\|\1$/)
  })

  it('has its budget: each connection is a call', async () => {
    const { grantId } = await at.world.granted(postgresAuthority({ budget: { calls: 1 } }))
    const own = await at.listener(grantId)
    expect((await at.psql(own.url, '-c', 'SELECT 1')).out).toBe('1')
    expect((await at.psql(own.url, '-c', 'SELECT 1')).said).toMatch(/budget_exhausted|grant_/)
  })
})

it('agent postgres prints a connection string, and psql works with it', async () => {
  const { url: gateway, system } = at.world
  const { grantId } = await at.world.granted(postgresAuthority())
  const options = ['--gateway', gateway, '--database', 'orders', '--grant', grantId, '--data', system.data]
  const agent = ['--key', sampleKeyFile(system.data, 'reconciler'), '--agent', at.world.agent().id]
  const env = { PATH: process.env.PATH }
  const child = spawn(process.execPath, [cli, 'agent', 'postgres', ...options, ...agent], { env })
  try {
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
    expect(line).toMatch(/^postgresql:\/\/agent:[\w-]{32}@127\.0\.0\.1:\d+\?sslmode=disable$/)
    expect(await at.psql(line, '-c', 'SELECT count(*) FROM orders')).toEqual({ code: 0, out: '100', said: '' })
    child.kill('SIGTERM')
    expect(await once(child, 'exit')).toEqual([0, null])
  } finally {
    child.kill('SIGKILL')
  }
})

it('a connection that is withdrawn ends, and so does what it runs, and its role (V7)', async () => {
  const { grantId, requestId } = await at.world.granted(postgresAuthority())
  const own = await at.listener(grantId)
  const running = at.psql(own.url, '-c', "SELECT 'asleep', pg_sleep(3600)")
  await eventually(async () => ((await sleeping()) === 1 ? true : undefined))
  await at.world.approver.withdraw(requestId)
  const { code, said } = await running
  expect([code, said]).toEqual([2, expect.stringContaining('The connection is over')])
  expect(await sleeping()).toBe(0)
  await roleless()
})

it('a statement that its client cancels ends', async () => {
  const running = psqlInteractive(url, 'SELECT pg_sleep(3600);\n')
  await eventually(async () => ((await sleeping()) === 1 ? true : undefined))
  running.interrupt()
  expect(await running.said).toContain('canceling statement due to user request')
})

it('leaves evidence that an auditor finds in order, with the hash of its statements in the outcome', async () => {
  const { data, host } = at.world.system
  const { out } = await at.psql(url, '-c', 'SELECT session_user', '-c', 'SELECT 2')
  const [role = ''] = out.split('\n')
  const decisionId = role.replace('bailiwick_', '')
  const sha = (...parts: (string | Buffer)[]) =>
    parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest()
  const begin = sha('bailiwick-postgres-statements-v1', '\0', decisionId)
  const hash = sha(sha(begin, sha('SELECT session_user')), sha('SELECT 2')).toString('base64url')
  const outcome = await eventually(async () => {
    const { entries } = await readLog(paths(data).log, host.trust.log.vkey)
    return outcomesIn(entries).find((each) => each.decision_id === decisionId)
  })
  expect(outcome).toMatchObject({ status: 'succeeded', http_status: 101, detail_hash: hash })
  expect(outcome.egress_bytes).toBeGreaterThan(0)
  const report = await eventually(async () => {
    const seen = await audit({ logDir: paths(data).log, trustPath: paths(data).trust })
    return seen.findings.length === 0 ? seen : undefined
  })
  expect(report.findings).toEqual([])
})

it('states its seconds in the outcome if a budget counts them, and an auditor agrees (V9)', async () => {
  const { host, data } = at.world.system
  const [permission] = postgresAuthority().permissions
  const { grantId } = await at.world.granted(
    postgresAuthority({
      permissions: [{ ...permission, cost: { amount: '/cost/amount', currency: '/cost/currency' } }],
      budget: { calls: 10, cost: { SEC: '3600' } },
    }),
  )
  const counted = await at.listener(grantId)
  const { out } = await at.psql(counted.url, '-c', 'SELECT session_user')
  const outcome = await eventually(async () => {
    const { entries } = await readLog(paths(data).log, host.trust.log.vkey)
    return outcomesIn(entries).find((each) => each.decision_id === out.replace('bailiwick_', ''))
  })
  expect(outcome).toMatchObject({ status: 'succeeded', cost: { currency: 'SEC' } })
  expect(Number(outcome.cost.amount)).toBeLessThan(60)
  await expect
    .poll(async () => (await audit({ logDir: paths(data).log, trustPath: paths(data).trust })).findings, {
      timeout: 60_000,
    })
    .toEqual([])
})

const sleeping = async () =>
  Number(
    await at.server.query(
      'postgres',
      "SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'bailiwick\\_%' AND wait_event = 'PgSleep'",
    ),
  )

/** The outcomes that enforcement points signed, in these entries of the log. */
function outcomesIn(entries: readonly Uint8Array[]) {
  return entries
    .map((bytes) => JSON.parse(Buffer.from(bytes).toString()))
    .filter(({ type }) => type === 'outcome.reported')
    .map(({ data }) => JSON.parse(Buffer.from(data.outcome.split('.')[1], 'base64url').toString()))
}
