import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Health, httpServer, logger, metrics } from '@bailiwick/host'
import { systemClock } from '@bailiwick/kit'
import { expect, it, onTestFinished } from 'vitest'
import { pageRoutes } from './page.ts'

/** The files that Vite leaves; all earlier ones are gone. */
function build(root: string, hash: string): void {
  rmSync(root, { recursive: true, force: true })
  mkdirSync(join(root, 'assets'), { recursive: true })
  writeFileSync(join(root, 'index.html'), `<script src="/console/assets/index-${hash}.js"></script>`)
  writeFileSync(join(root, 'assets', `index-${hash}.js`), `run('${hash}')`)
}

async function aConsole(root: string) {
  const meter = metrics({ service: 'approval-test', processMetrics: false })
  const silent = logger({ service: 'approval-test', level: 'silent' })
  const http = await httpServer({ logger: silent, clock: systemClock, health: new Health(), metrics: meter })
  pageRoutes(http, root)
  onTestFinished(() => http.close().then(() => undefined))
  return (url: string, headers: Record<string, string> = {}, method: 'GET' | 'POST' = 'GET') =>
    http.inject({ url, headers, method })
}

it('gives a page and the files that it names, though the console was built anew beside it', async () => {
  const root = mkdtempSync(join(tmpdir(), 'bailiwick-console-'))
  onTestFinished(() => rmSync(root, { recursive: true, force: true }))
  build(root, 'before')
  const get = await aConsole(root)
  build(root, 'after')
  for (const page of ['/', '/console/inbox', '/console/requests/req_1']) {
    const { body, headers } = await get(page)
    expect(body).toContain('/console/assets/index-before.js')
    expect(headers).toMatchObject({ 'cache-control': 'no-cache', 'content-type': 'text/html; charset=utf-8' })
  }
  const { body, headers } = await get('/console/assets/index-before.js')
  expect(body).toBe("run('before')")
  expect(headers).toMatchObject({
    'cache-control': 'public, max-age=31536000, immutable',
    'content-type': 'text/javascript; charset=utf-8',
    'x-content-type-options': 'nosniff',
  })
  for (const none of ['index-after.js', '', '..%2findex.html', '%2e%2e/index.html'])
    expect((await get(`/console/assets/${none}`)).statusCode, none).toBe(404)
})

it('gives scripts and styles compressed, in the form that the browser takes', async () => {
  const root = mkdtempSync(join(tmpdir(), 'bailiwick-console-'))
  onTestFinished(() => rmSync(root, { recursive: true, force: true }))
  build(root, 'one')
  const name = 'index-one.js'
  for (const coding of ['br', 'gz']) writeFileSync(join(root, 'assets', `${name}.${coding}`), `as ${coding}`)
  const get = await aConsole(root)
  for (const [accepted, coding, body] of [
    ['gzip, deflate, br, zstd', 'br', 'as br'],
    ['gzip;q=1.0, br;q=0', 'gzip', 'as gz'],
    ['deflate', undefined, "run('one')"],
    ['', undefined, "run('one')"],
  ] as const) {
    const answer = await get(`/console/assets/${name}`, { 'accept-encoding': accepted })
    expect([accepted, answer.headers['content-encoding'], answer.body]).toEqual([accepted, coding, body])
    expect(answer.headers).toMatchObject({ vary: 'accept-encoding', 'content-type': 'text/javascript; charset=utf-8' })
  }
  expect((await get(`/console/assets/${name}.br`)).statusCode).toBe(404)
})

it('lets the app say that there is no such page, and only where a page was asked for', async () => {
  const root = mkdtempSync(join(tmpdir(), 'bailiwick-console-'))
  onTestFinished(() => rmSync(root, { recursive: true, force: true }))
  build(root, 'one')
  const get = await aConsole(root)
  const browser = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }
  for (const page of ['/console/nothing', '/console/inbox/more', '/console/requests/a/b', '/console/apis']) {
    const { statusCode, body, headers } = await get(page, browser)
    expect([page, statusCode, headers['content-type']]).toEqual([page, 404, 'text/html; charset=utf-8'])
    expect(body).toContain('index-one.js')
  }
  for (const none of ['/console/api/nothing', '/console/assets/nothing', '/console/api'])
    expect([none, (await get(none, browser)).json()]).toMatchObject([none, { status: 404, code: 'route_unknown' }])
  expect((await get('/console/nothing')).json()).toMatchObject({ status: 404, code: 'route_unknown' })
  for (const path of ['/console/nothing', '/console/api/nothing'])
    expect([path, (await get(path, browser, 'POST')).json()]).toMatchObject([
      path,
      { status: 404, code: 'route_unknown' },
    ])
})

it('gives a person who asks for any other address a page that leads to the console, and programs a problem', async () => {
  const root = mkdtempSync(join(tmpdir(), 'bailiwick-console-'))
  onTestFinished(() => rmSync(root, { recursive: true, force: true }))
  build(root, 'one')
  writeFileSync(
    join(root, 'index.html'),
    '<script src="/console/assets/index-one.js"></script><link rel="stylesheet" href="/console/assets/index-one.css">',
  )
  const get = await aConsole(root)
  const browser = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }
  for (const page of ['/foo', '/consoles', '/v1/nothing', '/foo?next=%22%3E%3Cscript%3E', '/%3Cscript%3E/more']) {
    const { statusCode, body, headers } = await get(page, browser)
    expect([page, statusCode, headers['content-type']]).toEqual([page, 404, 'text/html; charset=utf-8'])
    expect(body).toContain('<a href="/console/">')
    expect(body).toContain('href="/console/assets/index-one.css"')
    expect(body).not.toMatch(/script|foo|nothing/)
  }
  for (const accept of ['*/*', 'application/json'])
    expect((await get('/foo', { accept })).json()).toMatchObject({ status: 404, code: 'route_unknown' })
  expect((await get('/foo', browser, 'POST')).json()).toMatchObject({ status: 404, code: 'route_unknown' })
})

it('says how the console is built when it is not', async () => {
  const get = await aConsole(join(tmpdir(), 'bailiwick-no-console'))
  expect((await get('/console')).json()).toMatchObject({ status: 404, code: 'route_unknown' })
})
