import { expect, it } from 'vitest'
import { aServer } from '../http/http.fixture.ts'
import { logger } from './logger.ts'
import { showStanding } from './standing.ts'

it('while it stands by, a server answers nothing but how it is: to every path, method and body', async () => {
  await using fixture = await aServer()
  const { server, health } = fixture
  let reason: string | undefined = 'another one is the active one'
  health.check('issuer-active', () => reason, { gate: true })
  for (const [method, url, type] of [
    ['GET', '/items/1', undefined],
    ['POST', '/echo', 'application/json'],
    ['POST', '/echo', 'text/plain'],
    ['DELETE', '/echo', undefined],
    ['GET', '/nothing/here', undefined],
  ] as const) {
    const headers = type === undefined ? {} : { 'content-type': type }
    const answer = await server.inject({ method, url, headers, ...(type ? { payload: '{' } : {}) })
    expect([answer.statusCode, answer.headers['retry-after']], `${method} ${url}`).toEqual([503, '1'])
    expect(answer.json()).toMatchObject({ code: 'service_standby', detail: reason, retryable: true })
  }
  const ready = await server.inject('/readyz')
  expect([ready.statusCode, ready.json().detail]).toEqual([503, `issuer-active: ${reason}`])
  for (const url of ['/healthz', '/metrics']) expect((await server.inject(url)).statusCode).toBe(200)
  reason = undefined
  expect((await server.inject('/items/1')).statusCode).toBe(200)
  expect((await server.inject('/readyz')).statusCode).toBe(200)
})

it('a failing check that is no gate makes it unready, and closes nothing', async () => {
  await using fixture = await aServer()
  fixture.health.check('issuer-fresh', () => 'stale')
  expect((await fixture.server.inject('/readyz')).statusCode).toBe(503)
  expect((await fixture.server.inject('/items/1')).statusCode).toBe(200)
})

it('shows each change: a takeover is a warning, and the gauge says who acts', async () => {
  await using fixture = await aServer()
  const { health, metrics } = fixture
  const lines: { level: string; msg: string; succeeds?: string; reason?: string }[] = []
  const log = logger({
    service: 'test',
    level: 'info',
    destination: { write: (line) => void lines.push(JSON.parse(line)) },
  })
  const { onStanding, gate } = showStanding('issuer', { health, metrics, logger: log })
  gate(() => undefined)
  expect(health.gates()).toEqual({})
  const gauge = async () => /^bailiwick_active\{role="issuer".*\} (\d)$/m.exec(await metrics.text())?.[1]
  expect(await gauge()).toBe('0')
  onStanding({ active: true, succeeds: undefined })
  expect(await gauge()).toBe('1')
  onStanding({ active: false, reason: '/issuer/two took over' })
  expect(await gauge()).toBe('0')
  onStanding({ active: true, succeeds: '/issuer/two' })
  expect(await gauge()).toBe('1')
  expect(lines).toMatchObject([
    { level: 'info', msg: 'active' },
    { level: 'warn', msg: 'stands by', reason: '/issuer/two took over' },
    { level: 'warn', msg: 'active: it took over', succeeds: '/issuer/two' },
  ])
})
