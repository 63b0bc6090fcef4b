import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { formAccount } from '@bailiwick/gateway/form-app'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { GatewayWorld, passing } from './gateway-world.ts'
import { psql } from './postgres-server.ts'
import { brokerPassword, openPostgresWorld, postgresAuthority } from './postgres-world.ts'
import { openSessionWorld, type SessionWorld, sessionAuthority } from './session-world.ts'

/*
 * A secret of an upstream is rotated while calls run. Calls under way end with the old one, and no later call fails.
 */

const opened = new AsyncDisposableStack()
const folder = mkdtempSync(join(tmpdir(), 'bailiwick-rotation-'))
opened.defer(() => rmSync(folder, { recursive: true, force: true }))
afterAll(() => opened.disposeAsync())

const [first, second] = ['upstream-key-of-november', 'upstream-key-of-december']
const secretFile = (name: string) => join(folder, name)
const write = (name: string, value: string) => writeFileSync(secretFile(name), `${value}\n`, { mode: 0o600 })

/** An API that answers requests with one of its keys; `/stream` until its client leaves. */
class KeyedApi {
  readonly keys = new Set([first])
  /** The keys that its requests had. */
  readonly seen: string[] = []
  readonly server = createServer((request, response) => this.#answer(request, response))

  #answer({ headers, url = '' }: IncomingMessage, response: ServerResponse): void {
    const key = headers.authorization?.slice('Bearer '.length) ?? ''
    this.seen.push(key)
    if (!this.keys.has(key)) return void response.writeHead(401).end()
    if (!url.endsWith('/stream'))
      return void response.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":true}')
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const timer = setInterval(() => response.write('data: tick\n\n'), 50)
    response.on('close', () => clearInterval(timer))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }
}

/** Makes a call, and again if a busy machine kept it from being decided. */
async function call(world: GatewayWorld, grantId: string, path: string, accept = '*/*'): Promise<Response> {
  for (let tries = 1; ; tries++) {
    const answer = await world
      .agent()
      .fetch(`${world.url}${path}`, { headers: { accept } }, { grant: { grantId }, patienceMs: 0 })
    if (answer.status < 400 || tries === 20) return answer
    const [, code] = /"code":"([a-z_]+)"/.exec(await answer.clone().text()) ?? []
    if (!passing.has(code)) return answer
    await pause(300)
  }
}

const statusOf = async (answer: Response): Promise<number> => {
  await answer.text()
  return answer.status
}

async function openApi(reference: string) {
  const api = opened.use(new KeyedApi())
  await new Promise<void>((resolve) => api.server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(api.server.address() as AddressInfo).port}`
  const entry = { url, inject: { headers: { authorization: `Bearer \${secret:${reference}}` } } }
  const world = opened.use(await GatewayWorld.open({ apis: { erp: { entry } } }))
  const { grantId } = await world.granted({
    ...{ type: 'bailiwick_task', task: 'read-invoices', max_depth: 0, max_children: 0 },
    permissions: [{ actions: ['GET'], resource: { type: 'api', id_prefix: `${url}/` } }],
    budget: { calls: 1000 },
  })
  return { api, world, grantId }
}

it('an API gets the new key of a file within seconds, no call fails, and a stream goes on with the old one', async () => {
  write('api', first)
  const { api, world, grantId } = await openApi(`file:${secretFile('api')}`)
  const stream = await call(world, grantId, '/http/erp/stream', 'text/event-stream')
  const parts = stream.body?.getReader()
  await parts?.read()
  // The two keys are valid for a while.
  api.keys.add(second)
  write('api', second)
  const began = performance.now()
  while (performance.now() - began < 2500)
    expect(await statusOf(await call(world, grantId, '/http/erp/invoices'))).toBe(200)
  expect(api.seen.at(-1)).toBe(second)
  api.keys.delete(first)
  for (let n = 0; n < 10; n++) expect(await statusOf(await call(world, grantId, '/http/erp/invoices'))).toBe(200)
  expect(Buffer.from((await parts?.read())?.value ?? []).toString()).toContain('tick')
  await parts?.cancel()
})

it('an API that takes its old key no longer has one call fail, and then gets what the program says', async () => {
  write('program', first)
  const { api, world, grantId } = await openApi(`exec:/bin/cat ${secretFile('program')}`)
  expect(await statusOf(await call(world, grantId, '/http/erp/invoices'))).toBe(200)
  write('program', second)
  api.keys.delete(first)
  api.keys.add(second)
  await pause(1100)
  const statuses: number[] = []
  for (let n = 0; n < 5; n++) statuses.push(await statusOf(await call(world, grantId, '/http/erp/invoices')))
  expect(statuses).toEqual([502, 200, 200, 200, 200])
})

let at: SessionWorld
beforeAll(async () => {
  write('app', formAccount.password)
  const fields = { user: formAccount.user, password: `\${secret:file:${secretFile('app')}}` }
  const success = { cookie: 'sid', page: '/home', shows: 'Log out' }
  at = opened.use(await openSessionWorld({ more: { login: { page: '/login', fields, success } } }))
})

it('an application gets the new password with the next login, no call fails, and an answer under way goes on', async () => {
  const { world, app } = at
  const { grantId } = await world.granted(sessionAuthority)
  app.pages.set('/pages/flowing', (_, response) => {
    response.writeHead(200, { 'content-type': 'application/pdf' })
    const timer = setInterval(() => response.write('tick'), 50)
    response.on('close', () => clearInterval(timer))
  })
  const flowing = await call(world, grantId, '/session/app/pages/flowing')
  expect(flowing.status).toBe(200)
  const parts = flowing.body?.getReader()
  await parts?.read()
  const logins = app.logins
  // Within the second in which the file counts as read.
  expect(await statusOf(await call(world, grantId, '/session/app/records'))).toBe(200)
  write('app', 'canary-password-of-december')
  app.password = 'canary-password-of-december'
  for (let n = 0; n < 5; n++) expect(await statusOf(await call(world, grantId, '/session/app/records'))).toBe(200)
  expect(app.logins).toBe(logins)
  // The application ends all sessions, as many do after a new password.
  app.sessions.clear()
  for (let n = 0; n < 5; n++) expect(await statusOf(await call(world, grantId, '/session/app/records'))).toBe(200)
  expect(Buffer.from((await parts?.read())?.value ?? []).toString()).toContain('tick')
  await parts?.cancel()
})

it('a login with a password that was just rotated is made again with the new one', async () => {
  const { world, app } = at
  const { grantId } = await world.granted(sessionAuthority)
  expect(await statusOf(await call(world, grantId, '/session/app/records'))).toBe(200)
  app.sessions.clear()
  expect(await statusOf(await call(world, grantId, '/session/app/records'))).toBe(200)
  // The gateway has read the file a moment ago.
  write('app', 'canary-password-of-january')
  app.password = 'canary-password-of-january'
  app.sessions.clear()
  expect(await statusOf(await call(world, grantId, '/session/app/records'))).toBe(200)
})

it('a database gets the new password with the broker’s next connection, and connections of agents go on', async () => {
  write('broker', brokerPassword)
  const broker = { user: 'broker', password: `\${secret:file:${secretFile('broker')}}` }
  const database = opened.use(await openPostgresWorld({ entry: { broker } }))
  const { server, world } = database
  const { grantId } = await world.granted(postgresAuthority())
  const { url } = await database.listener(grantId)
  const running = psql(url, ['-c', "SELECT pg_sleep(4), 'undisturbed'"])
  await expect.poll(() => database.lent(), { timeout: 20_000 }).toHaveLength(1)
  await server.query('postgres', "ALTER ROLE broker PASSWORD 'broker-password-of-december'")
  write('broker', 'broker-password-of-december')
  expect(await database.psql(url, '-c', 'SELECT 1')).toMatchObject({ code: 0, out: '1' })
  expect(await running).toMatchObject({ code: 0, out: '|undisturbed' })
  await server.query('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'broker'")
  await expect.poll(async () => (await database.psql(url, '-c', 'SELECT 2')).out, { timeout: 20_000 }).toBe('2')
})
