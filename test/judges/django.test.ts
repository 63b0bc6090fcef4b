import { setTimeout as pause } from 'node:timers/promises'
import { errorCode } from '@bailiwick/errors'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { missingPrograms } from '../consumers/programs.ts'
import { GatewayWorld, passing } from '../e2e/gateway-world.ts'
import { type DjangoSite, djangoAccount, startDjango } from './django-site.ts'
import { cli } from './installation.ts'
import { runScript } from './programs.ts'

const lacksPython =
  process.env.CI !== 'true' &&
  (process.env.BAILIWICK_PYTHON_JUDGES === undefined || missingPrograms().some((each) => each.startsWith('python3')))

const operations = {
  list_groups: { request: 'GET /admin/auth/group/', query: ['q'] },
  read_group: { request: 'GET /admin/auth/group/{group}/change/' },
  rename_group: {
    request: 'POST /admin/auth/group/{group}/change/',
    body: { form: ['name', '_save'] },
    done: [302],
  },
  history: { request: 'GET /admin/auth/group/{group}/history/' },
  any_page: { request: 'GET /admin/{page}/' },
}
const on = (tool: string, where?: object) => ({
  actions: ['tools/call'],
  resource: { type: 'tool', id: `django/${tool}` },
  ...(where === undefined ? {} : { where }),
})
const authority = {
  type: 'bailiwick_task',
  task: 'rename-a-team',
  permissions: [
    on('list_groups'),
    on('read_group'),
    on('history'),
    on('any_page'),
    on('rename_group', { '/group': { in: ['1'] }, '/name': { prefix: 'team-' } }),
  ],
  budget: { calls: 60 },
  max_depth: 0,
  max_children: 0,
}

describe.skipIf(lacksPython)('the admin of Django behind a session', { timeout: 600_000 }, () => {
  let django: DjangoSite
  let world: GatewayWorld
  const opened = new AsyncDisposableStack()
  beforeAll(async () => {
    django = opened.use(await startDjango())
    const entry = {
      url: django.url,
      login: {
        page: '/admin/login/',
        fields: { username: djangoAccount.user, password: `\${secret:env:DJANGO_PASSWORD}` },
        success: { cookie: 'sessionid', page: '/admin/', shows: 'Log out' },
      },
      logout: 'POST /admin/logout/',
      token: { input: 'csrfmiddlewaretoken', page: '/admin/', field: 'csrfmiddlewaretoken' },
      closed: ['/admin/password_change'],
      operations,
    }
    world = opened.use(
      await GatewayWorld.open({ sessions: { django: { entry } }, env: { DJANGO_PASSWORD: djangoAccount.password } }),
    )
  }, 300_000)
  afterAll(() => opened.disposeAsync())

  async function call(grantId: string, path: string, body?: Record<string, string>) {
    const agent = world.agent()
    for (let tries = 0; ; tries++) {
      const response = await agent.fetch(
        `${world.url}/session/django${path}`,
        body === undefined
          ? {}
          : {
              method: 'POST',
              headers: { 'content-type': 'application/x-www-form-urlencoded' },
              body: new URLSearchParams(body).toString(),
            },
        { grant: { grantId }, patienceMs: 0 },
      )
      const text = await response.text()
      const [, code = ''] = /"code":"([a-z_]+)"/.exec(text) ?? []
      if (!passing.has(code) || tries === 20) return { status: response.status, headers: response.headers, text, code }
      await pause(300)
    }
  }

  it('an agent lists, changes one record within its bounds, is denied the next, and is stopped in the middle', async () => {
    const { grantId, requestId } = await world.granted(authority)
    const listed = await call(grantId, '/admin/auth/group/')
    expect(listed.status).toBe(200)
    expect(listed.text).toContain('team-red')
    expect(listed.text).toContain('team-blue')
    const read = await call(grantId, '/admin/auth/group/1/change/')
    expect(read.text).toMatch(/<input type="text" name="name" value="team-red"/)
    for (const { text, headers } of [listed, read]) {
      expect(text).not.toContain('csrfmiddlewaretoken')
      expect([...headers.keys()]).not.toContain('set-cookie')
    }

    const renamed = await call(grantId, '/admin/auth/group/1/change/', { name: 'team-green', _save: 'Save' })
    expect([renamed.status, renamed.headers.get('location')]).toEqual([302, '/session/django/admin/auth/group/'])
    expect(await django.sql('select name from auth_group order by id')).toBe("[('team-green',), ('team-blue',)]")
    // A name that is taken: the form comes back with an error, and nothing is changed.
    const taken = await call(grantId, '/admin/auth/group/1/change/', { name: 'team-blue', _save: 'Save' })
    expect([taken.status, taken.text.includes('already exists')]).toEqual([200, true])

    for (const [path, name] of [
      ['/admin/auth/group/2/change/', 'team-green'],
      ['/admin/auth/group/1/change/', 'administrators'],
    ] as const) {
      const denied = await call(grantId, path, { name, _save: 'Save' })
      expect([denied.status, denied.code]).toEqual([403, 'argument_out_of_bounds'])
    }
    const more = await call(grantId, '/admin/auth/group/1/change/', { name: 'team-x', permissions: '1', _save: 'Save' })
    expect(more.code).toBe('operation_member_unmapped')
    for (const page of ['login', 'logout', 'password_change'])
      expect((await call(grantId, `/admin/${page}/`)).code).toBe('session_route_reserved')
    expect(await django.sql('select name from auth_group order by id')).toBe("[('team-green',), ('team-blue',)]")

    // The application's own log names the account; the evidence names the agent and the human (test/e2e).
    expect((await call(grantId, '/admin/auth/group/1/history/')).text).toContain('svc-bailiwick')

    expect(await django.sql('select count(*) from django_session')).toBe('[(1,)]')
    await world.approver.withdraw(requestId)
    // The issuer gives its agent no credential any more, or the decision point denies the one that it has.
    const stopped = await call(grantId, '/admin/auth/group/').then(({ code }) => code, errorCode)
    expect(stopped).toMatch(/revoked|access_request_refused/)
    for (let tries = 0; (await django.sql('select count(*) from django_session')) !== '[(0,)]'; tries++) {
      if (tries === 100) throw new Error('the session is still there')
      await pause(100)
    }
  })

  it('survives a log-out of the account by the application itself', async () => {
    const { grantId } = await world.granted(authority)
    expect((await call(grantId, '/admin/auth/group/')).status).toBe(200)
    const removed = 'delete from django_session where 1=1 returning 1'
    await django.sql(removed)
    expect((await call(grantId, '/admin/auth/group/')).text).toContain('team-blue')
    await django.sql(removed)
    const renamed = await call(grantId, '/admin/auth/group/1/change/', { name: 'team-white', _save: 'Save' })
    expect(renamed.status).toBe(302)
    expect(await django.sql('select name from auth_group where id = 1')).toBe("[('team-white',)]")
  })

  it.each(['chromium', 'no browser'])(
    '`gateway record-login` drafts a recipe that the gateway takes, with %s',
    async (which) => {
      const words = [
        'gateway',
        'record-login',
        `${django.url}/admin/`,
        '--name',
        'django',
        '--user',
        djangoAccount.user,
      ]
      const more = ['--password', 'env:DJANGO_PASSWORD', ...(which === 'no browser' ? ['--browser', 'none'] : [])]
      const env = { DJANGO_PASSWORD: djangoAccount.password, BAILIWICK_PYTHON_JUDGES: undefined }
      const sessions = () => django.sql('select count(*) from django_session')
      const before = await sessions() // a grant of the tests before may still have its own
      const { code, out, err } = await runScript(cli, [...words, ...more], { env })
      expect(code, err).toBe(0)
      expect(out).toBe(`session:
  django:
    url: ${django.url}
    login:
      page: /admin/login/
      fields:
        username: svc-bailiwick
        password: \${secret:env:DJANGO_PASSWORD}
      success:
        cookie: sessionid
        page: /admin/
        shows: Log out
    logout: POST /admin/logout/
    token:
      input: csrfmiddlewaretoken
      page: /admin/
      field: csrfmiddlewaretoken
    closed:
      - /admin/password_change # guessed: its name says that it changes how one logs in
    operations:
      start:
        request: GET /admin/ # guessed: an example. Name the pages that agents may use
`)
      expect(err).toContain('The gateway logged in by this recipe, and out')
      expect(err.includes('No browser was used')).toBe(which === 'no browser')
      expect(out + err).not.toContain(djangoAccount.password)
      expect(await sessions()).toBe(before)
    },
  )
})
