import { openSecrets, type RelayRequest } from '@bailiwick/relay'
import { describe, expect, it } from 'vitest'
import { FormApp, type FormHandler, formAccount, redirect } from '../fixture/form-app.fixture.ts'
import { HttpSender } from '../servers/http-sender.ts'
import { AccountSession } from './account-session.ts'
import { Application } from './application.ts'
import { LoginPace } from './login-pace.ts'
import { sessionEntry } from './session-entry.ts'

const form = ['Content-Type', 'application/x-www-form-urlencoded']
const get = (target: string): RelayRequest => ({ method: 'GET', target, headers: [], body: Buffer.alloc(0) })
const post = (target: string, body: string): RelayRequest => ({
  method: 'POST',
  target,
  headers: form,
  body: Buffer.from(body),
})

async function before(more: object = {}, password = formAccount.password) {
  const app = await FormApp.start()
  const entry = sessionEntry.parse(app.entry(more))
  const secrets = openSecrets({ env: { APP_PASSWORD: password } })
  let now = 0
  const pace = new LoginPace({ monotonic: () => now })
  const opened: { session: AccountSession; sender: HttpSender }[] = []
  const session = () => {
    const sender = new HttpSender({
      url: entry.url,
      inject: {},
      secrets,
      isPrivate: false,
      headMs: 5000,
      keepsSession: true,
    })
    const made = new AccountSession({
      ...{ pace, application: new Application(entry, sender, secrets) },
      shown: new Set(['text']),
      addressOf: (target) => (target.startsWith('/records') ? `/session/app${target}` : undefined),
      onEnd: async () => undefined,
    })
    opened.push({ session: made, sender })
    return made
  }
  const own = session()
  const { signal } = new AbortController()
  const send = async (request: RelayRequest, by = own, done?: number[], mustHide = false) => {
    const { status, headers, body, failed } = await by.send(request, { done, mustHide }, signal)
    let text = ''
    for await (const part of body) text += Buffer.from(part).toString('latin1')
    return { status, headers, text, failed: failed?.() }
  }
  return {
    ...{ app, own, session, send, pass: (ms: number) => (now += ms) },
    show: (path: string, handler: FormHandler) => app.pages.set(path, handler),
    async [Symbol.asyncDispose]() {
      for (const each of opened) {
        await each.session.end()
        await each.sender[Symbol.asyncDispose]()
      }
      await app[Symbol.asyncDispose]()
    },
  }
}

describe('a session with an application', () => {
  it('logs in once for all requests that wait, and shows the page without its tokens', async () => {
    await using w = await before()
    const [first] = await Promise.all([1, 2, 3, 4, 5].map(() => w.send(get('/records'))))
    expect(w.app.logins).toBe(1)
    expect(first).toMatchObject({ status: 200, text: expect.stringContaining('/records/1') })
    for (const secret of w.app.secrets) expect(first?.text).not.toContain(secret)
    expect(first?.text).not.toContain('csrf')
  })

  it('adds the token behind what was decided, and says by the redirect whether it was done (V1)', async () => {
    await using w = await before()
    const done = await w.send(post('/records/1', 'text=new'), w.own, [302])
    expect(done).toMatchObject({ status: 302, text: '', failed: false })
    expect(done.headers).toContain('/session/app/records')
    expect(w.app.records.get('1')).toBe('new')
    expect(w.app.at('/records/1')[0]?.body).toMatch(/^text=new&csrf=[0-9a-f]{40}$/)
    w.show(
      '/records/2',
      (_, response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<p>invalid'),
    )
    expect(await w.send(post('/records/2', 'text=x'), w.own, [302])).toMatchObject({ status: 200, failed: true })
  })

  it('logs in again when the application ended the session, once for all that noticed', async () => {
    await using w = await before()
    await w.send(get('/records'))
    w.app.sessions.clear()
    const answers = await Promise.all([1, 2, 3, 4].map(() => w.send(get('/records'))))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
    expect(w.app.logins).toBe(2)
    w.app.sessions.clear()
    expect(await w.send(post('/records/1', 'text=again'), w.own, [302])).toMatchObject({ status: 302, failed: false })
    expect(w.app.at('/records/1').filter(({ method }) => method === 'POST')).toHaveLength(1)
  })

  it('sends nothing that changes something a second time (V10)', async () => {
    await using w = await before()
    await w.send(get('/records'))
    w.show('/records/1', (_, response) => {
      w.app.sessions.clear()
      redirect(response, '/login')
    })
    await expect(w.send(post('/records/1', 'text=x'))).rejects.toMatchObject({ code: 'session_lost' })
    expect(w.app.at('/records/1')).toHaveLength(1)
    w.app.pages.clear()
    expect(await w.send(post('/records/1', 'text=y'))).toMatchObject({ status: 302 })
    expect(w.app.logins).toBe(2)
  })

  it('takes a login page in the middle for a lost session, also at another address', async () => {
    await using w = await before()
    let isFirst = true
    w.show('/records', (_, response) => {
      if (!isFirst) return void response.writeHead(200, { 'content-type': 'text/html' }).end('the list')
      isFirst = false
      w.app.showLogin(response)
    })
    expect(await w.send(get('/records'))).toMatchObject({ text: 'the list' })
    expect(w.app.logins).toBe(2)
    w.show('/records', (_, response) => w.app.showLogin(response))
    await expect(w.send(get('/records'))).rejects.toMatchObject({ code: 'session_lost' })
    expect(w.app.logins).toBe(3)
    // The new session is kept, and in the end all sessions are logged out.
    expect(await w.send(get('/records/1'))).toMatchObject({ status: 200 })
    expect(w.app.logins).toBe(3)
    await w.own.end()
    expect(w.app.sessions.size).toBe(0)
  })

  it('says that a request was sent if only the login after it fails', async () => {
    await using w = await before()
    await w.send(get('/records'))
    w.show('/records', (_, response) => {
      w.show('/login', (_asked, shown) => void shown.writeHead(500).end())
      redirect(response, '/login')
    })
    await expect(w.send(get('/records'))).rejects.toMatchObject({ code: 'session_lost' })
  })

  it('takes no text in JSON for a login or a page for a code', async () => {
    await using w = await before()
    const texts = ['<input name=user><input type=password name=password>', '<input name=otp>']
    w.show(
      '/records',
      (_, response) =>
        void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ texts })),
    )
    expect(await w.send(get('/records'))).toMatchObject({ status: 200 })
    expect(w.app.logins).toBe(1)
  })

  it('withholds an answer that was changed, if fields must be hidden in it', async () => {
    await using w = await before()
    const json = (value: object) => (_: unknown, response: Parameters<FormHandler>[1]) =>
      void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))
    w.show('/records', json({ note: 'token=social_security_number', social_security_number: '078-05-1120' }))
    await expect(w.send(get('/records'), w.own, undefined, true)).rejects.toMatchObject({ code: 'answer_withheld' })
    w.show('/records', json({ note: 'x', social_security_number: '078-05-1120' }))
    expect(await w.send(get('/records'), w.own, undefined, true)).toMatchObject({ status: 200 })
  })

  it('withholds a cookie that its own answer replaces (V17)', async () => {
    await using w = await before()
    await w.send(get('/records'))
    w.show(
      '/records',
      ({ session }, response) =>
        void response
          .writeHead(200, { 'content-type': 'text/html', 'set-cookie': 'sid=0123456789abcdef; Path=/' })
          .end(`<pre>${session?.id}`),
    )
    await expect(w.send(get('/records'))).rejects.toMatchObject({ code: 'answer_withheld' })
  })

  it('waits after a login that failed, so that the account is not locked (V18)', async () => {
    await using w = await before({}, 'wrong-password-0123456789')
    for (const session of [w.own, w.own, w.session()])
      await expect(w.send(get('/records'), session)).rejects.toMatchObject({ code: 'session_login_failed' })
    expect(w.app.logins).toBe(1)
    w.pass(31_000)
    await expect(w.send(get('/records'))).rejects.toMatchObject({ code: 'session_login_failed' })
    expect(w.app.logins).toBe(2)
  })

  it('refuses a second factor by name, and repeats no login for it', async () => {
    await using w = await before()
    w.app.afterLogin = (_, response) =>
      void response
        .writeHead(200, { 'content-type': 'text/html' })
        .end('<form><input name="code" autocomplete="one-time-code"></form>')
    await expect(w.send(get('/records'))).rejects.toMatchObject({ code: 'session_mfa_required' })
    await expect(w.send(get('/records'))).rejects.toMatchObject({ code: 'session_mfa_required' })
    expect(w.app.logins).toBe(1)
  })

  it('logs out at its end, and nothing begins afterwards (V7)', async () => {
    await using w = await before()
    await w.send(get('/records'))
    await w.own.end()
    expect([w.app.logouts, w.app.sessions.size]).toEqual([1, 0])
    await expect(w.send(get('/records'))).rejects.toMatchObject({ code: 'call_not_begun' })
    expect(w.app.logins).toBe(1)
  })

  it('shares no cookie with another session', async () => {
    await using w = await before()
    const other = w.session()
    await Promise.all([w.send(get('/records')), w.send(get('/records'), other)])
    expect(w.app.logins).toBe(2)
    expect(new Set(w.app.at('/records').map(({ session }) => session?.id)).size).toBe(2)
    await w.own.end()
    expect(await w.send(get('/records'), other)).toMatchObject({ status: 200 })
    expect(w.app.logins).toBe(2)
  })
})
