import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { errorCode } from '@bailiwick/errors'
import { endWithThis } from '@bailiwick/native'
import { freePort } from '@bailiwick/testkit'
import { describe, expect, it } from 'vitest'
import { run } from '../consumers/programs.ts'
import { GatewayWorld, passing } from '../e2e/gateway-world.ts'

const password = 'canary-of-dokuwiki-0123456789'

/** The recipe. All pages are one script: a parameter says which page is meant. */
const recipe = {
  login: {
    page: '/doku.php?do=login',
    form: 'dw__login',
    fields: { u: 'svc-bailiwick', p: `\${secret:env:WIKI_PASSWORD}` },
    success: { page: '/doku.php?id=rota', shows: 'Logged in as' },
  },
  logout: 'GET /doku.php?do=logout',
  token: { input: 'sectok', page: '/doku.php?do=profile', field: 'sectok' },
  closed: ['/doku.php?do=profile', '/doku.php?do=admin', '/doku.php?do=resendpwd', '/doku.php?do=profile_delete'],
  operations: {
    view: { request: 'GET /doku.php', query: ['id'] },
    save: {
      request: 'POST /doku.php',
      body: { form: ['id', 'do', 'wikitext', 'summary'] },
      values: { do: ['save'] },
      done: [302],
    },
  },
}
const on = (tool: string, where: object) => ({
  actions: ['tools/call'],
  resource: { type: 'tool', id: `wiki/${tool}` },
  where,
})
const authority = {
  type: 'bailiwick_task',
  task: 'update-the-rota',
  permissions: [
    on('view', { '/id': { in: ['rota', 'other', 'start'] } }),
    on('save', { '/id': { eq: 'rota' }, '/do': { eq: 'save' } }),
  ],
  budget: { calls: 60 },
  max_depth: 0,
  max_children: 0,
}

describe('DokuWiki behind a session', { timeout: 600_000 }, () => {
  it('an agent reads, changes one page within its bounds, is denied the next, and is stopped in the middle', async () => {
    await using opened = new AsyncDisposableStack()
    const folder = mkdtempSync(join(tmpdir(), 'judges-dokuwiki-'))
    opened.defer(() => rmSync(folder, { recursive: true, force: true }))
    const env = { ACCOUNT_PASSWORD: password }
    const { code, out, err } = await run(join(import.meta.dirname, 'dokuwiki/install.sh'), [folder], { env })
    expect(code, err).toBe(0)
    const [php = '', ...args] = out.trim().split('\n')
    const port = await freePort()
    const server = spawn(php, [...args, `127.0.0.1:${port}`], { stdio: 'ignore' })
    endWithThis(server)
    opened.defer(() => void server.kill())
    const url = `http://127.0.0.1:${port}`
    for (let tries = 0; (await fetch(url).catch(() => undefined)) === undefined; tries++) {
      if (tries === 100) throw new Error('PHP did not start')
      await pause(100)
    }
    const entry = { url, ...recipe }
    const world = opened.use(
      await GatewayWorld.open({ sessions: { wiki: { entry } }, env: { WIKI_PASSWORD: password } }),
    )
    const { grantId, requestId } = await world.granted(authority)
    const call = async (query: string, body?: Record<string, string>) => {
      for (let tries = 0; ; tries++) {
        const response = await world.agent().fetch(
          `${world.url}/session/wiki/doku.php${query}`,
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
        const [, refused = ''] = /"code":"([a-z_]+)"/.exec(text) ?? []
        if (!passing.has(refused) || tries === 20)
          return { status: response.status, location: response.headers.get('location'), text, code: refused }
        await pause(300)
      }
    }
    const page = (name: string) => readFileSync(join(folder, `data/pages/${name}.txt`), 'utf8')
    const sessions = () =>
      readdirSync(join(folder, 'sessions')).map((name) => readFileSync(join(folder, 'sessions', name), 'latin1'))

    // Strangers see nothing of it.
    expect(await (await fetch(`${url}/doku.php?id=rota`)).text()).not.toContain('the-red-team')
    const read = await call('?id=rota')
    expect([read.status, read.text.includes('the-red-team')]).toEqual([200, true])
    expect(read.text).not.toMatch(/sectok=\w/)
    const saved = await call('', { id: 'rota', do: 'save', wikitext: 'green', summary: 'by an agent' })
    expect([saved.status, saved.location]).toEqual([302, '/session/wiki/doku.php?id=rota'])
    expect(page('rota')).toContain('green')
    expect(readFileSync(join(folder, 'data/meta/rota.changes'), 'utf8')).toContain('svc-bailiwick')

    expect((await call('', { id: 'other', do: 'save', wikitext: 'x', summary: '' })).code).toBe(
      'argument_out_of_bounds',
    )
    expect((await call('', { id: 'rota', do: 'admin', wikitext: 'x', summary: '' })).code).toBe(
      'session_route_reserved',
    )
    expect((await call('', { id: 'rota', do: 'save', wikitext: 'x', sectok: 'x' })).code).toBe(
      'operation_member_unmapped',
    )
    for (const does of ['login', 'logout', 'Logout', 'profile', 'pro.file', 'ad.min', 'log0out'])
      expect((await call('', { id: 'rota', do: does, wikitext: 'x', summary: '' })).code, does).toBe(
        'session_route_reserved',
      )
    expect((await call('?id=rota&do=profile')).code).toBe('operation_member_unmapped')
    expect(page('other')).toContain('the-blue-team')

    // All sessions are gone: the next call begins anew, also one that changes something.
    for (const name of readdirSync(join(folder, 'sessions'))) rmSync(join(folder, 'sessions', name))
    expect((await call('', { id: 'rota', do: 'save', wikitext: 'white', summary: '' })).status).toBe(302)
    expect(page('rota')).toContain('white')
    expect(sessions().some((text) => text.includes('svc-bailiwick'))).toBe(true)

    await world.approver.withdraw(requestId)
    expect(await call('?id=rota').then(({ code }) => code, errorCode)).toMatch(/revoked|access_request_refused/)
    for (let tries = 0; sessions().some((text) => text.includes('svc-bailiwick')); tries++) {
      if (tries === 100) throw new Error('the account is still logged in')
      await pause(100)
    }
  })
})
