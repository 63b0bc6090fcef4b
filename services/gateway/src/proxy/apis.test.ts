import { encodeBase64url } from '@bailiwick/credentials'
import { aPoint, FakePdp } from '@bailiwick/pep/fake-pdp'
import { type Caller, openSecrets, type RelayRequest } from '@bailiwick/relay'
import { RawServer, whole } from '@bailiwick/relay/raw-server'
import { expect, it } from 'vitest'
import { Shares } from '../mcp/shares.ts'
import { type ApiEntry, apiEntry } from './api-entry.ts'
import { apiManifest } from './api-manifest.ts'
import { Apis } from './apis.ts'

const publicUrl = 'https://gw.example'

function callerOf(aud: string, agent = 'a'): Caller {
  const claims = { sub: agent, client_id: `${agent}/1`, aud, exp: 1, grant: { root: 'grt_1' } }
  const credential = `a.${encodeBase64url(Buffer.from(JSON.stringify(claims)))}.c`
  return { credential, proof: 'd.e.f', callId: undefined, htu: `${publicUrl}/http/erp/invoices` }
}

const get: RelayRequest = { method: 'GET', target: '/invoices', headers: [], body: new Uint8Array() }
const never = new AbortController().signal

async function world(streams = 256) {
  await using opening = new AsyncDisposableStack()
  const api = opening.use(await RawServer.start(({ socket }) => socket.write(whole('{"ok":true}'))))
  const pdp = opening.use(await FakePdp.start())
  const point = opening.use(await aPoint(pdp))
  const apis = opening.use(
    new Apis({
      ...{ point, secrets: openSecrets(), publicUrl, audiences: [publicUrl], streamSeconds: 60, headMs: 60_000 },
      shares: new Shares(() => ({ streams, processes: 1, sessions: 1 })),
    }),
  )
  const entry = (more: object = {}): ApiEntry =>
    apiEntry.parse({ url: api.url, operations: { list: { request: 'GET /invoices' } }, ...more })
  const run = async (aud = publicUrl) => {
    const relayed = await apis.get('erp')?.call(get, callerOf(aud), never)
    if (relayed === undefined || 'refused' in relayed || !relayed.allowed) return relayed
    for await (const _ of relayed.executed.body);
    return 'executed'
  }
  const apply = (entries: Record<string, ApiEntry>) => apis.prepare(entries).use()
  const owned = opening.move()
  return { api, pdp, apis, apply, entry, run, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

it('tells the decision point what its table says, so that only the one that people signed is used', async () => {
  await using w = await world()
  const [before, after] = [w.entry(), w.entry({ operations: { list: { request: 'GET /invoices', query: ['all'] } } })]
  w.apply({ erp: before })
  expect(await w.run()).toBe('executed')
  w.apply({ erp: after })
  expect(await w.run()).toBe('executed')
  const manifests = w.pdp.evaluations.map(({ context }) => Object(context.bailiwick).manifest)
  expect(manifests).toEqual([apiManifest(before), apiManifest(after)])
  expect(manifests[0]).not.toBe(manifests[1])
})

it('takes a credential for this API and for the gateway, and for no other API', async () => {
  await using w = await world()
  w.apply({ erp: w.entry() })
  expect(await w.run(`${publicUrl}/http/erp`)).toBe('executed')
  expect(await w.run(`${publicUrl}/http/erp/`)).toBe('executed')
  expect(await w.run(`${publicUrl}/http/other`)).toEqual({ allowed: false, reason: 'credential_audience_wrong' })
  expect(await w.run(`${publicUrl}/http/erp/invoices`)).toEqual({ allowed: false, reason: 'credential_audience_wrong' })
  expect(w.pdp.evaluations).toHaveLength(2)
  expect(w.api.arrived).toHaveLength(2)
})

it('lets an agent have so many answers at the same time, and others besides (V18)', async () => {
  await using w = await world(1)
  w.apply({ erp: w.entry() })
  const first = await w.apis.get('erp')?.call(get, callerOf(publicUrl), never)
  if (first === undefined || !('executed' in first)) throw new Error('not executed')
  await expect(w.run()).rejects.toThrow('queue_full')
  expect(w.pdp.evaluations).toHaveLength(1)
  const other = await w.apis.get('erp')?.call(get, callerOf(publicUrl, 'b'), never)
  expect(other).toMatchObject({ allowed: true })
  for await (const _ of first.executed.body);
  expect(await w.run()).toBe('executed')
})

it('keeps what did not change, ends what is gone, and changes nothing upon a file that cannot be used', async () => {
  await using w = await world()
  w.apply({ erp: w.entry() })
  expect(await w.run()).toBe('executed')
  w.apply({ erp: w.entry() })
  expect(await w.run()).toBe('executed')
  expect(w.api.connections).toBe(1)
  const broken = w.entry({ inject: { headers: { authorization: `\${secret:nowhere:x}` } } })
  expect(() => w.apply({ erp: w.entry(), other: broken })).toThrow('config_invalid')
  expect(await w.run()).toBe('executed')
  const api = w.apis.get('erp')
  expect(w.apply({})).toEqual({ added: [], changed: [], removed: ['erp'] })
  // A request that was being read meanwhile goes nowhere.
  await expect(api?.call(get, callerOf(publicUrl), never)).rejects.toThrow('route_unknown')
  expect(w.apis.byPath('erp')).toBeUndefined()
  expect(await w.run()).toBeUndefined()
  expect(w.api.arrived).toHaveLength(3)
})

it('serves an API at a path or at a host of its own, and never at both', async () => {
  await using w = await world()
  w.apply({ erp: w.entry(), own: w.entry({ host: 'own.example' }) })
  expect(w.apis.placeByPath('/http/erp/a?b')).toEqual({ name: 'erp', address: `${publicUrl}/http/erp`, target: '/a?b' })
  expect(w.apis.placeByHost('Own.Example:8425', '/a')).toEqual({
    name: 'own',
    address: 'https://own.example',
    target: '/a',
  })
  for (const url of ['/http/own/a', '/http/erp', '/http//erp/a', '/HTTP/erp/a', '/http/@host/a'])
    expect(w.apis.placeByPath(url)).toBeUndefined()
  for (const host of [
    undefined,
    'gw.example',
    'own.example.',
    'x.own.example',
    'own.example@evil.example',
    'own.example:a',
  ])
    expect(w.apis.placeByHost(host, '/a')).toBeUndefined()
  expect(() => w.apply({ own: w.entry({ host: 'gw.example' }) })).toThrow('config_invalid')
})
