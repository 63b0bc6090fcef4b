import { request as httpRequest } from 'node:http'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Person } from './person.ts'
import { Scene } from './scene.ts'

// A page of another site runs in the same browser: it has the person's cookie where the browser sends it, and nothing
// else. The test tries every route of the console, including routes added later.

let scene: Scene
let owner: Person
beforeAll(async () => {
  scene = await Scene.bare()
  owner = new Person(scene.system)
  await owner.enrol()
})
afterAll(async () => {
  const { findings } = await scene.audited()
  await scene[Symbol.asyncDispose]()
  expect(findings).toEqual([])
})

interface Route {
  path: string
  methods: string[]
}

/** The routes below /console, as the server itself lists them. */
function consoleRoutes(): Route[] {
  const stack: string[] = []
  return scene.system.host.http
    .printRoutes({ commonPrefix: false })
    .split('\n')
    .flatMap((line) => {
      const at = /^((?:│ {3}| {4})*)[├└]── (\S*)(?: \(([A-Z, ]+)\))?/.exec(line)
      if (!at) return []
      const [, indent = '', part = '', methods] = at
      stack.length = indent.length / 4
      stack.push(part)
      return methods === undefined ? [] : [{ path: stack.join(''), methods: methods.split(', ') }]
    })
    .filter(({ path }) => path.startsWith('/console'))
}
// Fastify prints `agents/*` below `agents` without its slash, and `registry/:type/*` without its type.
const filled = (path: string) =>
  path
    .replace(/:[a-z_]+(\([^)]*\))?/gi, `req_${'0'.repeat(43)}`)
    .replace(/agents\*$/, 'agents/spiffe://acme.example/x')
    .replace(/registry\*$/, 'registry/rule/tasks')
    .replace(/\*$/, 'x')

const foreign: Record<string, string | undefined>[] = [
  { origin: undefined },
  { origin: '' },
  { origin: 'null' },
  { origin: 'https://thief.example' },
  { origin: undefined, referer: 'http://localhost/' },
  { 'sec-fetch-site': 'cross-site' },
  { 'sec-fetch-site': 'same-site' },
  { 'sec-fetch-site': 'none' },
  { 'sec-fetch-site': 'Same-Origin' },
]

it('knows the console’s routes', () => {
  const paths = consoleRoutes().map(({ path }) => path)
  expect(paths).toContain('/console/api/requests/:id/approve')
  expect(paths).toContain('/console/api/session')
  expect(paths.length).toBeGreaterThan(10)
})

it('the console does nothing for a page of another origin, or for a form (V3)', async () => {
  const before = await scene.counted()
  const { cookie } = owner
  const writes = consoleRoutes().flatMap(({ path, methods }) =>
    methods
      .filter((method) => !['GET', 'HEAD', 'OPTIONS'].includes(method))
      .map((method) => ({ method, path: filled(path) })),
  )
  expect(writes.length).toBeGreaterThan(8)
  for (const { method, path } of writes) {
    const near: Record<string, string | undefined>[] = [
      { origin: `${scene.url}.thief.example` },
      { origin: `${scene.url}/` },
      { origin: scene.url.replace('localhost', 'LOCALHOST') },
      { origin: scene.url.replace('localhost', '127.0.0.1') },
      { origin: scene.url.replace('http:', 'https:') },
      { origin: `${scene.url}, ${scene.url}` },
    ]
    for (const headers of [...foreign, ...near]) {
      const { status, code } = await owner.send(method, path, {}, headers)
      expect([path, headers, status, code]).toEqual([path, headers, 403, 'origin_forbidden'])
    }
    // The content types that a form can send without a preflight.
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      undefined,
    ]) {
      const { status } = await owner.send(method, path, {}, { 'content-type': type, origin: 'https://thief.example' })
      expect([path, type, [403, 415].includes(status)]).toEqual([path, type, true])
      const own = await owner.send(method, path, {}, { 'content-type': type })
      expect([path, type, own.status]).toEqual([path, type, 415])
    }
  }
  expect(owner.cookie).toBe(cookie)
  expect(await scene.counted()).toBe(before)
  expect((await owner.send('GET', '/console/api/state')).status).toBe(200)
})

it('no page of another origin reads the console or its events, because there is no CORS (V3)', async () => {
  const reads = consoleRoutes().filter(({ methods }) => methods.includes('GET'))
  for (const { path } of reads) {
    for (const method of ['GET', 'OPTIONS']) {
      const headers = await headersOf(method, filled(path), {
        origin: 'https://thief.example',
        cookie: owner.cookie,
        accept: path.includes('event') ? 'text/event-stream' : '*/*',
        'sec-fetch-site': 'cross-site',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type',
      })
      for (const name of Object.keys(headers.fields))
        expect([path, name]).not.toEqual([path, expect.stringMatching(/^access-control-/)])
      if (path.includes('event')) expect([path, headers.status]).not.toEqual([path, 200])
    }
    // Other sites do not send the cookie, and without it there is nothing to read.
    if (!path.startsWith('/console/api/') || path.endsWith('/hello')) continue
    const { status } = await headersOf('GET', filled(path), { origin: scene.url, accept: 'text/event-stream, */*' })
    expect([path, status]).toEqual([path, 401])
  }
})

it('no page frames the console, runs scripts in it or guesses what its files are (V3)', async () => {
  const paths = consoleRoutes()
    .filter(({ methods }) => methods.includes('GET'))
    .map(({ path }) => filled(path))
  for (const path of ['/', '/console', '/console/', '/console/nothing-here', ...paths]) {
    const { fields, status } = await headersOf('GET', path, {
      cookie: owner.cookie,
      accept: 'text/html, text/event-stream',
    })
    const policy = String(fields['content-security-policy'])
    expect([path, policy]).toEqual([path, expect.stringMatching(/frame-ancestors 'none'/)])
    expect([path, policy]).not.toEqual([path, expect.stringMatching(/unsafe-inline|unsafe-eval|https?:\/\/|\*/)])
    expect([path, policy]).toEqual([path, expect.stringMatching(/(default-src|script-src) '(self|none)'/)])
    expect([path, fields['x-frame-options']]).toEqual([path, 'DENY'])
    expect([path, fields['x-content-type-options']]).toEqual([path, 'nosniff'])
    expect([path, fields['referrer-policy']]).toEqual([path, expect.stringMatching(/no-referrer|same-origin/)])
    expect([path, status]).not.toEqual([path, 500])
  }
})

it('the session cookie is sent to this host’s pages only, hidden from scripts, and gone at the session’s end (V3)', async () => {
  const { headers, status } = await owner.signIn()
  expect(status).toBe(200)
  const [cookie, ...more] = headers.getSetCookie()
  expect(more).toEqual([])
  expect(cookie).toMatch(/^__Host-[a-z]+=[\w-]{43}; /)
  const flags = cookie?.split('; ').slice(1)
  expect(flags).toEqual(expect.arrayContaining(['Path=/', 'Secure', 'HttpOnly', 'SameSite=Strict']))
  expect(cookie).not.toMatch(/Domain=/i)
  const kept = owner.cookie
  expect((await owner.post('session/end')).status).toBe(200)
  owner.cookie = kept
  expect((await owner.send('GET', '/console/api/state')).status).toBe(401)
  expect((await owner.signIn()).status).toBe(200)
})

/** Sends headers that `fetch` does not let a program set. Resolves as soon as the answer's head is known. */
function headersOf(method: string, path: string, headers: Record<string, string>) {
  return new Promise<{ status: number; fields: Record<string, unknown> }>((resolve, reject) => {
    const sent = httpRequest(new URL(path, scene.url), { method, headers }, (answer) => {
      resolve({ status: answer.statusCode ?? 0, fields: answer.headers })
      answer.destroy()
    })
    sent.on('error', reject)
    sent.end()
  })
}
