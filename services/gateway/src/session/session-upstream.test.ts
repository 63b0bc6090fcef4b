import { openSecrets, type RelayRequest } from '@bailiwick/relay'
import { type UpstreamUnderTest, upstreamContract } from '@bailiwick/relay/contract'
import { FormApp, formAccount } from '../fixture/form-app.fixture.ts'
import { HttpSender } from '../servers/http-sender.ts'
import { AccountSession } from './account-session.ts'
import { Application } from './application.ts'
import { LoginPace } from './login-pace.ts'
import { sessionActionOf } from './session-action.ts'
import { sessionEntry } from './session-entry.ts'
import { sessionUpstream } from './session-upstream.ts'

const post = (target: string, body: string): RelayRequest => ({
  method: 'POST',
  target,
  headers: ['Accept', '*/*', 'Content-Type', 'application/x-www-form-urlencoded'],
  body: Buffer.from(body),
})
const get = (target: string): RelayRequest => ({ method: 'GET', target, headers: [], body: Buffer.alloc(0) })

async function open(): Promise<UpstreamUnderTest> {
  const app = await FormApp.start()
  app.pages.set('/pages/broken', (_, response) => void response.destroy())
  app.pages.set('/pages/silent', () => undefined)
  app.pages.set('/pages/flowing', (_, response) => {
    response.writeHead(200, { 'content-type': 'application/octet-stream' })
    const timer = setInterval(() => response.write('tick'), 5)
    response.on('close', () => clearInterval(timer))
  })
  for (let n = 0; n < 4; n++)
    app.pages.set(
      `/json/${n}`,
      (_, response) => void response.writeHead(200, { 'content-type': 'text/plain' }).end('done'),
    )
  const entry = sessionEntry.parse(app.entry())
  const secrets = openSecrets({ env: { APP_PASSWORD: formAccount.password } })
  const sender = new HttpSender({
    ...{ url: entry.url, inject: {}, secrets, isPrivate: false, headMs: 60_000, keepsSession: true },
  })
  const session = new AccountSession({
    application: new Application(entry, sender, secrets),
    pace: new LoginPace({ monotonic: () => performance.now() }),
    shown: new Set(['text']),
    addressOf: () => undefined,
    onEnd: async () => undefined,
  })
  const ofAgent = () => app.arrived.filter(({ path }) => !['/login', '/home', '/logout'].includes(path))
  const upstream = sessionUpstream({
    toAction: sessionActionOf('app', entry),
    entry,
    sessionOf: () => session,
  })
  // Logged in, as after an earlier call: a session is opened once.
  await session.send(get('/home'), {}, new AbortController().signal)
  return {
    upstream,
    // The contract looks for it in what arrived first.
    secret: [...app.sessions.keys()][0] ?? '',
    effect: (n) => post(`/json/${n}`, `text=%7B+${n}`),
    flowing: () => get('/pages/flowing'),
    silent: () => get('/pages/silent'),
    broken: () => post('/pages/broken', 'text=1'),
    refused: () => [
      post('/json/1', 'text=1&text=2'),
      post('/json/1', 'text=1&other=2'),
      post('/json/1', 'text=1&csrf=2'),
      { ...post('/json/1', 'text=1'), headers: ['Content-Type', 'multipart/form-data; boundary=x'] },
      get('/login'),
      get('/LOGIN'),
      get('/logout'),
      get('/account'),
      get('/nowhere/at/all'),
    ],
    arrived: () => ofAgent().map(({ text }) => text),
    written: ({ method, target, body }) => {
      const text = Buffer.from(body).toString('latin1')
      return body.length === 0 ? `${method} ${target} HTTP/1.1\r\n` : `\r\n\r\n${text}&csrf=`
    },
    vanish: () => app[Symbol.asyncDispose](),
    async [Symbol.asyncDispose]() {
      await session.end()
      await sender[Symbol.asyncDispose]()
      await app[Symbol.asyncDispose]()
    },
  }
}

upstreamContract('session', open)
