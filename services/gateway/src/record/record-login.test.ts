import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { openSecrets } from '@bailiwick/relay'
import { afterEach, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { FormApp, formAccount } from '../fixture/form-app.fixture.ts'
import { sessionEntry } from '../session/session-entry.ts'
import { draftText } from './draft.ts'
import { recordLogin } from './record-login.ts'

afterEach(async () => {
  for (const each of waiting.splice(0)) await each()
})
const waiting: (() => Promise<unknown>)[] = []

const record = async (url: string, { user = formAccount.user, password = formAccount.password } = {}) => {
  const secrets = openSecrets({ env: { PASSWORD: password } })
  const signal = AbortSignal.timeout(60_000)
  const recorded = await recordLogin({ url, user, password: 'env:PASSWORD', secrets, signal })
  const text = draftText('app', recorded.draft, recorded.guesses)
  expect(text).not.toContain(password)
  expect(recorded.notes.join()).not.toContain(password)
  // The gateway takes it as it is.
  const [entry] = Object.values(parse(text).session)
  sessionEntry.parse(entry)
  return { ...recorded, text }
}

async function formApp(): Promise<FormApp> {
  const app = await FormApp.start()
  waiting.push(() => app[Symbol.asyncDispose]())
  return app
}

interface Quirks {
  /** In place of the form. */
  login?: string
  /** The link to leave, in place of the usual one. */
  leave?: string
  /** The answer to a good login. */
  after?: (response: ServerResponse, key: string) => void
}

/** An application of another age: no token in forms, a button that must be pressed, two cookies, a link to leave, and a page for strangers. */
async function oldApp({ login, leave = '<a href="ende.php">Abmelden</a>', after }: Quirks = {}) {
  const keys = new Set<string>()
  const posted: URLSearchParams[] = []
  const html = { 'content-type': 'text/html; charset=utf-8' }
  const form = `<form method=POST action=pruefen.php name=anmeldung>
    <INPUT TYPE=HIDDEN NAME=mandant VALUE="7"><input type=hidden name=PHPSESSID value=x>
    Kennung <input name=kennung>Abteilung <select name=abt><option value=1>Lager<option value=2 selected>Büro</select>
    <input type=password name=kennwort><input type=checkbox name=merken value=ja>
    <input type=submit name=los value=Anmelden></form>`
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://x')
    const [, key = ''] = /(?:^|; )k=([^;]*)/.exec(request.headers.cookie ?? '') ?? []
    if (pathname === '/') return void response.writeHead(302, { location: 'anmelden.php?von=%2F' }).end()
    if (pathname === '/anmelden.php')
      return void response.writeHead(200, { ...html, 'set-cookie': 'sprache=de' }).end(`<html>${login ?? form}</html>`)
    if (pathname === '/pruefen.php') {
      const typed = new URLSearchParams(await textOf(request))
      posted.push(typed)
      const wanted = {
        kennung: formAccount.user,
        kennwort: formAccount.password,
        los: 'Anmelden',
        mandant: '7',
        abt: '2',
      }
      if (Object.entries(wanted).some(([name, value]) => typed.get(name) !== value))
        return void response.writeHead(200, html).end(`<html>Falsch.${login ?? form}</html>`)
      const made = `key-${Math.random()}`
      keys.add(made)
      if (after !== undefined) return after(response, made)
      return void response.writeHead(303, { location: '/start.php', 'set-cookie': [`k=${made}`, 'thema=hell'] }).end()
    }
    if (!keys.has(key)) return void response.writeHead(302, { location: '/zutritt.php' }).end()
    if (pathname === '/ende.php') {
      keys.delete(key)
      return void response.writeHead(302, { location: '/' }).end()
    }
    response
      .writeHead(200, html)
      .end(`<html><a href="kennwort/aendern.php">Neues Kennwort</a>${leave}Tagesübersicht</html>`)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  waiting.push(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, keys, posted }
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request) text += chunk
  return text
}

describe('a recipe that is recorded', () => {
  it('names form, token, signs and log-out of an application, and leaves no session', async () => {
    const app = await formApp()
    const { draft, guesses, notes } = await record(`${app.url}/login`)
    expect(draft).toEqual({
      url: app.url,
      login: {
        page: '/login',
        fields: { user: formAccount.user, password: `\${secret:env:PASSWORD}` },
        success: { cookie: 'sid', page: '/home', shows: 'Log out' },
      },
      logout: 'POST /logout',
      token: { input: 'csrf', page: '/home', field: 'csrf' },
      operations: { start: { request: 'GET /home' } },
    })
    expect(guesses.map(({ path }) => path.join('.'))).toEqual(['operations.start.request'])
    expect(notes).toContain('The gateway logged in by this recipe, and out')
    expect([app.logins, app.sessions.size]).toEqual([2, 0])
  })

  it('has what a browser sends beside the hidden fields, and marks what it guessed', async () => {
    const app = await oldApp()
    const { draft, text, notes } = await record(app.url)
    expect(draft).toEqual({
      url: app.url,
      login: {
        page: '/anmelden.php',
        fields: { abt: '2', los: 'Anmelden', kennung: formAccount.user, kennwort: `\${secret:env:PASSWORD}` },
        success: { cookie: 'k', page: '/start.php', shows: 'Abmelden' },
      },
      logout: 'GET /ende.php',
      lost: { paths: ['/zutritt.php'] },
      closed: ['/kennwort/aendern.php'],
      operations: { start: { request: 'GET /start.php' } },
    })
    expect(text).toMatch(/los: Anmelden # guessed: a browser sends it too/)
    expect(text).toMatch(/- \/kennwort\/aendern.php # guessed: /)
    expect(notes.join()).toContain('Left out of the login form, as a person may: merken')
    expect(notes.join()).toContain('no token against forged requests')
    expect(app.keys.size).toBe(0)
    for (const typed of app.posted) expect(typed.get('mandant')).toBe('7')
  })

  it('has no token of the session in its log-out, and none in what a page shows', async () => {
    const app = await oldApp({ leave: '<a href="ende.php?sesskey=Zm9v#logout"></a>' })
    const { draft, text } = await record(app.url)
    expect(draft.logout).toBe('GET /ende.php')
    expect(text).not.toContain('Zm9v')
  })
})

describe('no recipe is recorded', () => {
  it('with a wrong password, which is tried once', async () => {
    const app = await formApp()
    await expect(record(`${app.url}/login`, { password: 'another-password' })).rejects.toMatchObject({
      code: 'session_login_failed',
      detail: expect.stringContaining('shows its login page again'),
    })
    expect(app.logins).toBe(1)
  })

  it('where the application asks for a second factor', async () => {
    const app = await formApp()
    app.afterLogin = (_, response) =>
      void response
        .writeHead(200, { 'content-type': 'text/html' })
        .end('<form method=post><input name=otp_code autocomplete=one-time-code></form>')
    await expect(record(`${app.url}/login`)).rejects.toMatchObject({ code: 'session_mfa_required' })
  })

  it.each([
    ['a form that a script draws', '<div id=app></div><script src=app.js></script>', 'it has no form with a password'],
    [
      'a form that is sent by GET',
      '<form action=a><input name=u><input type=password name=p></form>',
      'not sent by POST',
    ],
    ['a captcha', '<form method=post><input name=u><input type=password name=p><input name=captcha></form>', 'captcha'],
    ['a password outside of a form', '<input name=u><input type=password name=p>', 'a script sends it'],
    [
      'two login forms',
      '<form method=post><input name=u><input type=password name=p></form>'.repeat(2),
      'several forms with one password field',
    ],
  ])('of %s', async (_, login, detail) => {
    const app = await oldApp({ login })
    await expect(record(app.url)).rejects.toMatchObject({
      code: 'session_login_failed',
      detail: expect.stringContaining(detail),
    })
    expect(app.posted).toEqual([])
  })

  it.each(['ftp://app.example/login', 'http://svc:secret@app.example/login'])('of %s', async (url) => {
    await expect(record(url)).rejects.toMatchObject({ code: 'config_invalid' })
  })
})
