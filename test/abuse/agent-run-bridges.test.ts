import { execFile } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { promisify } from 'node:util'
import { FormApp, formAccount } from '@bailiwick/gateway/form-app'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { patiently } from '../e2e/gateway-world.ts'
import { psql } from '../e2e/postgres-server.ts'
import { brokerPassword, openPostgresWorld, type PostgresWorld, postgresAuthority } from '../e2e/postgres-world.ts'
import { sessionAuthority } from '../e2e/session-world.ts'
import { canContain, RunPlace, shellSecrets } from './agent-run.ts'

/* A program under `agent run` that has a database and a web application, and others on the same machine that want them too. */

let app: FormApp
let at: PostgresWorld
let place: RunPlace
let granted: { grantId: string; requestId: string }
const opened = new AsyncDisposableStack()
beforeAll(async () => {
  app = opened.use(await FormApp.start())
  const sessions = { app: { entry: app.entry() } }
  at = opened.use(await openPostgresWorld({ sessions, env: { APP_PASSWORD: formAccount.password } }))
})
afterAll(() => opened.disposeAsync())
beforeEach(async () => {
  const permissions = [...postgresAuthority().permissions, ...sessionAuthority.permissions]
  granted = await at.world.granted(postgresAuthority({ permissions }))
  place = new RunPlace(at.world)
  chmodSync(place.folder, 0o755)
})
afterEach(() => place[Symbol.dispose]())

const start = (options: readonly string[], script: string) =>
  place.start(
    ['--grant', granted.grantId, '--postgres', 'orders', '--session', 'app', ...options],
    ['sh', '-c', `${again}\n${script}`],
  )
/** Each command again while a busy machine keeps it from being decided. */
const again = `again() { for n in 1 2 3 4 5 6 7 8 9; do "$@" > said 2>> problems && { cat said; return; }; sleep 1; done; cat said problems; }`
const isRoot = process.getuid?.() === 0
/** The addresses of a run that waits. */
async function waiting(options: readonly string[] = []) {
  const started = start(options, 'echo "$BAILIWICK_POSTGRES_ORDERS $BAILIWICK_SESSION_APP"; exec sleep 1000')
  await expect.poll(() => started.said.out).toMatch(/\n/)
  const [database = '', pages = ''] = started.said.out.trim().split(' ')
  return { ...started, database, pages }
}
async function asUser(user: string, file: string, args: readonly string[]): Promise<string> {
  const before = ['--reuid', user, '--regid', user, '--clear-groups', '--']
  const said = await promisify(execFile)('setpriv', [...before, file, ...args]).catch(
    (error: { stderr: string; stdout: string }) => error,
  )
  return `${said.stdout} ${said.stderr}`
}

const usual = `
  again psql -XAtc "SELECT note FROM orders WHERE id = 3"
  again psql -XAt "$BAILIWICK_POSTGRES_ORDERS" -c "SELECT current_user"
  psql -XAt -c "SELECT * FROM salaries" 2>&1
  again curl -sSf "$BAILIWICK_SESSION_APP/records"; echo
  again curl -sSfL -d text=by-curl -d amount=5 "$BAILIWICK_SESSION_APP/records/1"; echo
  curl -sS -d text=no -d amount=501 "$BAILIWICK_SESSION_APP/records/1"; echo`

describe('psql and curl, unchanged', () => {
  it.each([
    ['host', true],
    ['none', canContain],
  ])(
    'use a database and a web application, with --network %s, and find no secret of either (V11, V17)',
    async (network, isMeant) => {
      if (!isMeant) return
      const { said, ended } = start(['--network', network], `${usual}\necho looted; env; cat said problems; exit 0`)
      expect(await ended, said.err).toBe(0)
      const [shown = '', looted = ''] = said.out.split('looted\n')
      const [note, role, salaries, list, afterwards, denied] = shown.trim().split('\n')
      expect([note, role, salaries], said.out).toEqual([
        'order 3',
        expect.stringMatching(/^bailiwick_dec_/),
        expect.stringContaining('permission denied for table salaries'),
      ])
      expect(list).toContain('<a href="/records/2">two</a>')
      // curl followed the redirect: it leads to the list, at the address of the run.
      expect(afterwards).toContain('<a href="/records/1">by-curl</a>')
      expect(JSON.parse(denied ?? '')).toMatchObject({ status: 403, code: 'argument_out_of_bounds' })
      for (const secret of [...Object.values(shellSecrets), ...app.secrets, formAccount.password, brokerPassword])
        expect((shown + looted).includes(secret)).toBe(false)
      expect(looted).not.toMatch(/DPoP |eyJ[\w-]{20}/)
      await expect.poll(() => at.lent(), { timeout: 30_000 }).toEqual([])
    },
  )

  it.runIf(isRoot)('work for a user of its own too', async () => {
    const { said, ended } = start(
      ['--user', 'daemon', '--contain', canContain ? 'required' : 'never'],
      `cd "$(mktemp -d)"; id -u; ${usual}`,
    )
    expect(await ended, said.err).toBe(0)
    expect(said.out).toMatch(/^1\norder 3\n/)
    expect(said.out).toContain('by-curl')
  })
})

describe('others on the machine', () => {
  it.runIf(isRoot)('who run as another user get nothing, also with the whole address (V11)', async () => {
    const { child, ended, database, pages } = await waiting(['--contain', 'never'])
    const before = app.arrived.length
    expect(await asUser('65534', 'psql', ['-XAt', database, '-c', "SELECT 'reached'"])).not.toContain('reached\n')
    expect(await asUser('65534', 'curl', ['-sS', '-m', '20', `${pages}/records`])).not.toContain('<li>')
    expect(app.arrived).toHaveLength(before)
    expect(await at.lent()).toEqual([])
    child.kill('SIGTERM')
    await ended
  })

  it.runIf(canContain)(
    'who are the program of another run find no address, and a port alone is of no use (V11)',
    async () => {
      const first = await waiting(['--contain', 'required'])
      const [database, pages] = [new URL(first.database), new URL(first.pages)]
      const before = app.arrived.length
      using other = new RunPlace(at.world)
      const script = `
      cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'
      own=$BAILIWICK_POSTGRES_ORDERS; secret=\${BAILIWICK_SESSION_APP#http://127.0.0.1:*/}
      # With its own password and its own secret, at the ports of the first run.
      psql -XAt "$(echo "$own" | sed 's/:[0-9]*?/:${database.port}?/')" -c "SELECT 'reached'" 2>&1
      curl -sS -m 20 "http://127.0.0.1:${pages.port}/$secret/records" 2>&1; echo
      echo tried`
      const options = ['--grant', granted.grantId, '--postgres', 'orders', '--session', 'app', '--contain', 'required']
      const { said, ended } = other.start(options, ['sh', '-c', script])
      expect(await ended, said.err).toBe(0)
      expect(said.out).toContain('tried')
      expect(said.out).toContain('password authentication failed')
      expect(said.out).toContain('There is nothing here')
      expect(said.out).not.toMatch(/^reached$/m)
      for (const secret of [database.password, pages.pathname.split('/')[1] ?? '-'])
        expect(said.out).not.toContain(secret)
      expect(app.arrived).toHaveLength(before)
      first.child.kill('SIGTERM')
      await first.ended
    },
  )

  it('who outlive the task have addresses at which nothing is, no role and no session (V7, V10)', async () => {
    // Grants of the tests before still have their sessions.
    const earlier = new Set(app.sessions.keys())
    const own = () => [...app.sessions.keys()].filter((id) => !earlier.has(id))
    const { said, ended, database, pages } = await waiting(['--contain', 'never'])
    const asleep = at.psql(database, '-c', 'SELECT pg_sleep(3600)')
    await expect.poll(() => at.lent()).toHaveLength(1)
    await expect.poll(async () => (await fetch(`${pages}/records`)).status).toBe(200)
    expect(own()).toHaveLength(1)
    await patiently(() => at.world.approver.withdraw(granted.requestId))
    expect(await ended, said.err).toBe(1)
    expect((await asleep).code).not.toBe(0)
    expect((await psql(database, ['-c', 'SELECT 1'])).said).toMatch(/Connection refused/)
    await expect(fetch(`${pages}/records`)).rejects.toMatchObject({ cause: { code: 'ECONNREFUSED' } })
    await expect.poll(() => at.lent(), { timeout: 30_000 }).toEqual([])
    await expect.poll(own, { timeout: 30_000 }).toEqual([])
  })
})
