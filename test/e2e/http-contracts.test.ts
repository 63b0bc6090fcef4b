import { mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { apis, type Route, type Routes } from '@bailiwick/contracts/api'
import { logger, metrics } from '@bailiwick/host'
import { systemClock, systemRandom } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { GatewayWorld } from './gateway-world.ts'
import { faultOf, nameOf, type WatchedServer, watchContracts } from './http-contracts.ts'

const watch = watchContracts()
const plainPdp = join(import.meta.dirname, '../../services/plain-pdp/src')

/** Pages and their files, for browsers. They are no API. */
const isPage = (name: string) => name === 'GET /' || /^GET \/console(\/(?!api\/)|$)/.test(name)

/** Two services may give the same name to different routes. */
const namesOf = (parts: readonly Routes[], on: readonly Route['on'][]) =>
  parts
    .flatMap((routes) => Object.values<Route>(routes))
    .filter((route) => on.includes(route.on))
    .map(({ method, path }) => nameOf(method, path))

const routesOf = (servers: readonly WatchedServer[]) =>
  new Set(servers.flatMap(({ routes }) => [...routes]).filter((name) => !isPage(name)))

/** The servers made since then that a service made: those with the routes that every server of ours has. */
const since = (before: number) => watch.servers.slice(before).filter(({ routes }) => routes.has('GET /healthz'))

it('has a contract for every route of the services, at the door where it is served, and no contract without a route', async () => {
  const before = watch.servers.length
  await using world = await GatewayWorld.open()
  expect(world.url).toContain('localhost')
  const servers = since(before)
  const { approval, evidence, issuer, gateway } = apis
  const parts = [approval, evidence, issuer, apis['policy-decision']].map(({ routes }) => routes)
  const operator = servers.filter(({ routes }) => routes.has('GET /operator/keys'))
  const whole = servers.filter(({ routes }) => routes.has('POST /oauth/token'))
  const gateways = servers.filter(({ routes }) => routes.has('POST /mcp/:name'))
  expect(routesOf(operator)).toEqual(new Set(namesOf(parts, ['operator', 'both'])))
  expect(routesOf(whole)).toEqual(new Set(namesOf(parts, ['http', 'both'])))
  expect(routesOf(gateways)).toEqual(new Set(namesOf([gateway.routes], ['http', 'both'])))
})

it('has a contract for every route of the plain decision point', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'bailiwick-plain-'))
  writeFileSync(join(folder.path, 'all.cedar'), '@id("all") permit (principal, action, resource);')
  const { configSchema } = await import(join(plainPdp, 'config.ts'))
  const { startPlain } = await import(join(plainPdp, 'start.ts'))
  const before = watch.servers.length
  const config = configSchema.parse({
    BAILIWICK_POLICIES: folder.path,
    BAILIWICK_DATA: join(folder.path, 'none'),
    BAILIWICK_PORT: '0',
  })
  await using plain = await startPlain(config, {
    logger: logger({ service: 'test', level: 'silent' }),
    clock: systemClock,
    random: systemRandom,
    metrics: metrics({ service: 'test', processMetrics: false }),
  })
  const [http, operator] = since(before)
  const { routes } = apis['plain-pdp']
  expect(http?.routes).toEqual(new Set(namesOf([routes], ['http', 'both'])))
  expect(operator?.routes).toEqual(new Set(namesOf([routes], ['operator', 'both'])))
  const evaluated = await fetch(`${plain.url}/access/v1/evaluation`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      subject: { type: 'User', id: 'anna' },
      action: { name: 'read' },
      resource: { type: 'Doc', id: 'plan' },
    }),
  })
  expect(evaluated.status).toBe(200)
  for (const path of ['/.well-known/authzen-configuration', '/access/v1/openapi.json', '/readyz'])
    expect((await fetch(plain.url + path)).status).toBe(200)
  expect((await fetch(`${plain.url}/admin/reload`, { method: 'POST' })).status).toBe(200)
  expect(watch.answered).toContain('POST /admin/reload')
})

it('sees an answer that lacks a member, has one more, or another status or media type', () => {
  const { readEvent, tellOutcomes, readCheckpoint } = apis.evidence.routes as Record<string, Route>
  const event = { event_id: 'evt', leaf_index: 1, entry: '{}', receipt: 'c2sp.org/tlog-proof@v1' }
  const judged = (route: Route | undefined, status: number, type: string, payload: unknown) =>
    route && faultOf(route, { status, type, payload })
  const json = 'application/json; charset=utf-8'
  expect(judged(readEvent, 200, json, JSON.stringify(event))).toBeUndefined()
  expect(judged(readEvent, 200, json, JSON.stringify({ ...event, more: 1 }))).toBe('members without a contract: /more')
  expect(judged(readEvent, 200, json, JSON.stringify({ ...event, entry: undefined }))).toContain('entry')
  expect(judged(readEvent, 201, json, JSON.stringify(event))).toBe('its status')
  expect(judged(readEvent, 200, 'text/plain', JSON.stringify(event))).toContain('media type')
  expect(judged(readEvent, 404, json, '{}')).toContain('refusal')
  expect(judged(readEvent, 404, 'application/problem+json', '{}')).toContain('code')
  expect(judged(readEvent, 200, json, '')).toBe('it has no body')
  expect(judged(tellOutcomes, 204, '', undefined)).toBeUndefined()
  expect(judged(readCheckpoint, 200, 'text/plain; charset=utf-8', 'note')).toBeUndefined()
})
