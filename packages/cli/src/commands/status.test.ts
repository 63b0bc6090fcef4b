import { mkdirSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { paths } from '@bailiwick/installation'
import { emptyRoot, signCheckpoint } from '@bailiwick/tlog'
import { expect, it } from 'vitest'
import { installation } from '../installation.fixture.ts'
import { bailiwick, type Folder, temporaryFolder } from '../io.fixture.ts'
import { logKey } from '../log.fixture.ts'
import { operatorAt } from '../operator.fixture.ts'

const checkpoint = (key = logKey()) =>
  signCheckpoint({ origin: 'log.example/cli', size: 1234, root: emptyRoot(), extensions: [] }, key)

const requests = ['pending', 'approved', 'expired'].map((state) => ({
  id: `req_${state}`,
  state,
  kind: 'access',
  from: 'spiffe://bailiwick.local/agent/a/i1',
  received_at: null,
  expires_at: null,
  endorsements: 0,
}))

async function status(
  ready: { status: number; body: unknown },
  note: string | undefined,
  { more = [], points = [] }: { more?: string[]; points?: string[] } = {},
) {
  using folder = temporaryFolder()
  installation(folder)
  await using _ = await operatorAt(folder.path, ({ path }) => {
    if (path === '/readyz') return ready
    if (path === '/operator/points') return { body: { without_instance: points } }
    if (path === '/log/checkpoint') return note === undefined ? { status: 404, body: {} } : { body: note }
    return { body: path === '/operator/registry' ? { enrolled: false } : { requests } }
  })
  return await bailiwick(['status', '--data', folder.path, ...more])
}

const ready = { status: 200, body: { status: 'ready' } }

it('says that all is well, and how long the log is', async () => {
  const { code, out } = await status(ready, checkpoint())
  expect(code).toBe(0)
  expect(out.split('\n')).toEqual([
    'ins_0123456789abcdef0123 at http://localhost:8420 (SINGLE OPERATOR)',
    '  ready     yes',
    '  enrolled  no one yet: open the invitation',
    '  requests  1 pending',
    '  evidence  1,234 entries',
  ])
})

it('says with 1 what is not ready', async () => {
  const body = { code: 'service_unready', detail: 'pdp-fresh: no head; evidence-lag: 10 s' }
  const { code, out } = await status({ status: 503, body }, undefined, { more: ['--json'] })
  expect(code).toBe(1)
  expect(JSON.parse(out)).toMatchObject({
    ready: false,
    failing: ['pdp-fresh: no head', 'evidence-lag: 10 s'],
    log_size: null,
    points_without_instance: [],
  })
})

it('names the enforcement points that state no instance, each of which must be one process (V1)', async () => {
  const points = ['erp-gateway', 'invoices-api']
  const { code, out } = await status(ready, checkpoint(), { points })
  expect(code).toBe(0)
  for (const point of points) expect(out).toContain(`  point     ${point} states no instance: run it as ONE process`)
  const { out: json } = await status(ready, checkpoint(), { more: ['--json'], points })
  expect(JSON.parse(json)).toMatchObject({ points_without_instance: points })
})

it('does not count entries by a checkpoint that another key signed', async () => {
  const { out } = await status(ready, checkpoint(logKey('log.example/cli', 2)))
  expect(out).toContain('NOT signed by this log (signature_missing)')
})

it('cannot run where nothing runs', async () => {
  using folder = temporaryFolder()
  installation(folder)
  const { code, err } = await bailiwick(['status', '--data', folder.path])
  expect(code).toBe(2)
  expect(err).toContain('is bailiwick serve running?')
})

/** A service on another machine, with the answers that it gives to anonymous callers. */
async function serviceElsewhere(answers: Record<string, { status: number; body: unknown }>) {
  const server = createServer((request, response) => {
    const { status, body } = answers[request.url ?? ''] ?? { status: 404, body: {} }
    response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body))
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
    },
  }
}

/** A data directory of one separate service, as in a container: its own keys, its own socket. */
async function alone(folder: Folder, service: string) {
  installation(folder)
  mkdirSync(paths(folder.path).keys(service), { recursive: true })
  return await operatorAt(
    folder.path,
    ({ path }) => {
      if (path === '/readyz') return ready
      if (path === '/log/checkpoint') return { body: checkpoint() }
      return { body: path === '/operator/registry' ? { enrolled: true } : { requests } }
    },
    paths(folder.path).serviceSocket(service, 8421),
  )
}

const standby = { status: 503, body: { code: 'service_unready', detail: 'standby: another one acts' } }

it('asks services with data directories of their own at their addresses, and is ready when each of them is', async () => {
  using folder = temporaryFolder()
  await using _approval = await alone(folder, 'approval')
  await using issuer = await serviceElsewhere({ '/readyz': ready })
  await using pdp = await serviceElsewhere({ '/readyz': ready })
  await using evidence = await serviceElsewhere({
    '/readyz': ready,
    '/log/checkpoint': { status: 200, body: checkpoint() },
  })
  await using second = await serviceElsewhere({ '/readyz': standby })
  const named = [
    `issuer=${issuer.url}`,
    `issuer=${second.url}`,
    `policy-decision=${pdp.url}`,
    `evidence=${evidence.url}`,
  ]
  const env = { BAILIWICK_SERVICES: named.join() }
  const { code, out } = await bailiwick(['status', '--data', folder.path], { env })
  expect(out.split('\n').slice(1)).toEqual([
    '  ready     yes',
    `  besides   issuer at ${second.url}: standby: another one acts; another instance is ready`,
    '  enrolled  yes',
    '  requests  1 pending',
    '  evidence  1,234 entries',
  ])
  expect(code).toBe(0)
})

it('is not ready when a service elsewhere is not, or does not answer, and says which', async () => {
  using folder = temporaryFolder()
  await using _approval = await alone(folder, 'approval')
  await using issuer = await serviceElsewhere({ '/readyz': standby })
  let gone = ''
  {
    await using pdp = await serviceElsewhere({})
    gone = pdp.url
  }
  const env = { BAILIWICK_SERVICES: `issuer=${issuer.url},policy-decision=${gone}` }
  const { code, out } = await bailiwick(['status', '--data', folder.path, '--json'], { env })
  expect(code).toBe(1)
  const { failing, ...told } = JSON.parse(out)
  expect(failing).toEqual([
    'issuer: standby: another one acts',
    expect.stringMatching(new RegExp(`^policy-decision: nothing answers on ${gone}`)),
  ])
  expect(told).toMatchObject({ ready: false, unasked: ['evidence'], log_size: null, enrolled: true })
})

it('says what it cannot know where one service runs by itself, and takes nothing for not ready that it did not ask', async () => {
  using folder = temporaryFolder()
  await using _evidence = await alone(folder, 'evidence')
  const { code, out } = await bailiwick(['status', '--data', folder.path])
  expect(out.split('\n').slice(1)).toEqual([
    '  ready     yes, as far as it was asked',
    '  not asked approval, issuer, policy-decision: not here; name them in BAILIWICK_SERVICES',
    '  enrolled  not known here: ask where approval runs, once it is ready',
    '  requests  not known here: ask where approval runs, once it is ready',
    '  evidence  1,234 entries',
  ])
  expect(code).toBe(0)
})

it('says that a service which belongs here is not up yet, and still asks the others', async () => {
  using folder = temporaryFolder()
  installation(folder)
  mkdirSync(paths(folder.path).keys('approval'), { recursive: true })
  await using issuer = await serviceElsewhere({ '/readyz': ready })
  const env = { BAILIWICK_SERVICES: `issuer=${issuer.url}` }
  const { code, out } = await bailiwick(['status', '--data', folder.path], { env })
  expect(out).toMatch(/^ {2}ready {5}NO\n {12}approval: nothing answers on /m)
  expect(out).toContain('  enrolled  not known here')
  expect(code).toBe(1)
})

it('names an address that is none', async () => {
  using folder = temporaryFolder()
  installation(folder)
  const { code, err } = await bailiwick(['status', '--data', folder.path], { env: { BAILIWICK_SERVICES: 'issuer' } })
  expect(code).toBe(2)
  expect(err).toContain('BAILIWICK_SERVICES: services with their origins')
})
