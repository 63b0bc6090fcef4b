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
  return (url: string) => http.inject({ url })
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

it('says how the console is built when it is not', async () => {
  const get = await aConsole(join(tmpdir(), 'bailiwick-no-console'))
  expect((await get('/console')).json()).toMatchObject({ status: 404, code: 'route_unknown' })
})
