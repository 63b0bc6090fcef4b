import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Agent } from '@bailiwick/agent'
import { topics } from '@bailiwick/contracts'
import { actionDigest, exportPrivateKey, makeDpopProof } from '@bailiwick/credentials'
import { errorCode } from '@bailiwick/errors'
import { logger } from '@bailiwick/host'
import { paths } from '@bailiwick/installation'
import { systemRandom } from '@bailiwick/kit'
import { type EnforcementPoint, memoryOutcomeStore, openEnforcementPoint } from '@bailiwick/pep'
import { sample, sampleKey } from '@bailiwick/standalone/sample'
import { expect, it, vi } from 'vitest'
import { generator, seed } from '../chaos/seed.ts'
import { Secrets } from './find-secrets.ts'
import { eventually, Scene } from './scene.ts'

const wanted = process.env.BAILIWICK_NIGHTLY === undefined ? 200 : 10_000
const canary = () => randomBytes(24).toString('base64url')

it('finds a secret where all or a piece of it stands, and nowhere else', () => {
  const secrets = new Secrets()
  const all = Array.from({ length: 1000 }, () => `eyJ0eXAiOiJkcG9wK2p3dCJ9.${randomBytes(100).toString('base64url')}`)
  for (const each of all) secrets.add('a proof', each)
  secrets.add('a cookie', 'a-cookie-of-30-characters-xxxx')
  const hay = randomBytes(100_000)
  expect(secrets.in(hay)).toEqual([])
  expect(secrets.in(Buffer.from(`eyJ0eXAiOiJkcG9wK2p3dCJ9.${'x'.repeat(100)}`))).toEqual([])
  for (const at of [0, 1, 54_321, hay.length]) {
    const around = (text: string) => Buffer.concat([hay.subarray(0, at), Buffer.from(text), hay.subarray(at)])
    expect(secrets.in(around(all[at % 1000] as string))).toEqual(['a proof'])
    expect(secrets.in(around((all[7] as string).slice(45, 85)))).toEqual(['a proof'])
    expect(secrets.in(around('a-cookie-of-30-characters-xxxx'))).toEqual(['a cookie'])
    expect(secrets.in(around((all[7] as string).slice(45, 60)))).toEqual([])
  }
})

it(
  `no canary of ${wanted} requests appears in log, evidence, parked topics, metrics, errors or output (V17)`,
  async () => {
    console.log(`canaries: seed ${seed}`)
    const secrets = new Secrets()
    const world = await aWorld(secrets)
    await using _ = world
    const { scene } = world
    const random = generator(seed)
    const agent = scene.agent()
    let grantId = ''
    for (let n = 0; world.requests() < wanted; n++) {
      if (n % 40 === 0) ({ grantId } = await scene.granted(agent))
      await world.act(agent, grantId, random() < 0.2 ? 'delete' : 'read')
      await world.misplace(random)
      if (n % 20 === 5) await world.poison()
    }
    await scene.invoices.delivered()
    await world.delivered()
    const report = await eventually(
      'what was put on the bus is parked',
      async () => {
        const audited = await scene.audited()
        return audited.counted['event.parked'] ? audited : undefined
      },
      120_000,
    )
    expect(report.findings).toEqual([])
    const held = await world.places()
    console.log(`canaries: ${world.requests()} requests, ${JSON.stringify(secrets.kinds)}`)
    expect(world.allowed()).toBeGreaterThan(wanted / 20)
    for (const what of world.expected) expect(secrets.kinds[what], what).toBeGreaterThan(0)
    expect(held.filter(([, bytes]) => bytes.includes(grantId)).length).toBeGreaterThan(2)
    expect(held.flatMap(([place, bytes]) => secrets.in(bytes).map((what) => `${what} in ${place}`))).toEqual([])
  },
  process.env.BAILIWICK_NIGHTLY === undefined ? 300_000 : 3_600_000,
)

/** The whole system, with a spy in the place of a proxy: it sees every secret that passes, and every refusal. */
async function aWorld(secrets: Secrets) {
  await using opened = new AsyncDisposableStack()
  opened.defer(() => void vi.restoreAllMocks())
  const printed: string[] = []
  const lines: string[] = []
  const refusals: string[] = []
  const collected: string[] = []
  for (const stream of [process.stdout, process.stderr] as const) {
    const write = stream.write.bind(stream)
    vi.spyOn(stream, 'write').mockImplementation((chunk) => {
      const text = String(chunk)
      if (text.includes('canaries:')) return write(chunk as string)
      return printed.push(text) > 0
    })
  }
  let requests = 0
  const real = globalThis.fetch
  vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
    requests++
    const headers = new Headers(init?.headers)
    secrets.add('a proof', headers.get('dpop'))
    secrets.add('an authorization', headers.get('authorization')?.split(' ')[1])
    secrets.add('a cookie', headers.get('cookie')?.split('=')[1])
    const form = new URLSearchParams(init?.body instanceof URLSearchParams ? init.body : String(init?.body ?? ''))
    secrets.add('a client assertion', form.get('client_assertion'))
    if (String(input).endsWith('/console/api/session'))
      secrets.add('a sign-in', /"signature":"([A-Za-z0-9_-]{60,})"/.exec(String(init?.body))?.[1])
    const response = await real(input, init)
    secrets.add('a cookie', /__Host-bailiwick=([^;]+)/.exec(response.headers.get('set-cookie') ?? '')?.[1])
    const text = await response.clone().text()
    if (response.status >= 400) refusals.push(text)
    else if (text.startsWith('{')) {
      const body = JSON.parse(text) as { access_token?: string; context?: { permit?: string } }
      secrets.add('a credential', body.access_token)
      secrets.add('a permit', body.context?.permit)
    }
    return response
  })
  const folder = mkdtempSync(join(tmpdir(), 'canaries-'))
  opened.defer(() => rmSync(folder, { recursive: true }))
  // Notifications to people go to a webhook whose address is the secret; evidence goes to a collector that requires a
  // secret.
  const [hook, bearer] = [canary(), canary()]
  secrets.add('a webhook’s address', hook)
  secrets.add('a collector’s token', bearer)
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += String(chunk)
    if (!request.url?.includes(hook)) collected.push(body)
    response.writeHead(request.url?.includes(hook) ? 500 : 200, { 'content-type': 'application/json' }).end('{}')
  }).listen(0, '127.0.0.1')
  await new Promise((listening) => server.once('listening', listening))
  opened.defer(() => void server.close())
  const at = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  writeFileSync(join(folder, 'headers'), `authorization: Bearer ${bearer}\n`, { mode: 0o600 })
  const env = {
    BAILIWICK_SINK_OTLP: at,
    BAILIWICK_SINK_OTLP_HEADERS_FILE: join(folder, 'headers'),
    BAILIWICK_SINK_FILE: join(folder, 'evidence.jsonl'),
    BAILIWICK_NOTIFY_WEBHOOK: `${at}/services/${hook}`,
    BAILIWICK_AGENT_CALLS_PER_SECOND: '1000',
  }
  const log = logger({ service: 'abuse', level: 'trace', destination: { write: (line) => void lines.push(line) } })
  const scene = opened.use(await Scene.open({ logger: log, env }))
  const { data, host, url, trust } = scene.system
  for (const name of ['reconciler', 'forecaster', 'point-caller', 'point-outcome'] as const)
    secrets.add('a private key', exportPrivateKey(sampleKey(data, name)).d)
  for (const [service, name, purpose] of [
    ['issuer', 'event', 'issuer-event'],
    ['issuer', 'credential', 'credential'],
    ['approval', 'event', 'approval-event'],
    ['approval', 'notification', 'notification'],
    ['policy-decision', 'event', 'pdp-event'],
    ['policy-decision', 'permit', 'permit'],
    ['policy-decision', 'binding-token', 'binding-token'],
    ['evidence', 'event', 'evidence-event'],
  ] as const)
    secrets.add('a private key', exportPrivateKey(host.key(service, name, purpose).current).d)
  secrets.add('a private key', readFileSync(paths(data).logKey, 'utf8').trim().split('+').at(-1))
  await scene.approver.signIn()
  const store = memoryOutcomeStore()
  const point: EnforcementPoint = opened.use(
    await openEnforcementPoint({
      ...{ id: sample.enforcementPoint, trust, pdpUrl: url, evidenceUrl: url, store, random: systemRandom },
      callerKey: sampleKey(data, 'point-caller'),
      outcomeKey: sampleKey(data, 'point-outcome'),
      now: () => scene.system.clock.now(),
      timeoutMs: 10_000,
    }),
  )
  const seen: { credential: string; proof: string; nonce?: string | undefined } = { credential: '', proof: '' }
  let allowed = 0
  const owned = opened.move()
  return {
    scene,
    requests: () => requests,
    allowed: () => allowed,
    expected: [
      ...['a client assertion', 'a collector’s token', 'a cookie', 'a credential', 'a permit', 'a private key'],
      ...['a proof', 'a sign-in', 'a webhook’s address', 'an argument', 'an authorization'],
    ],
    /** One call with a sensitive argument that no authority and no policy names. */
    async act(agent: Agent, grantId: string, tool: string): Promise<void> {
      const secret = canary()
      secrets.add('an argument', secret)
      const resource = { type: 'tool', id: `${sample.toolServer}/${tool}` }
      const properties = { invoice: 'INV-1', password: secret }
      const htu = `${scene.invoices.url}/${tool}`
      const held = await agent.credential({ grantId }).catch((error) => errorCode(error))
      if (typeof held === 'string') return
      const action = { name: 'tools/call', properties, resource }
      const over = { accessToken: held.token, actionDigest: actionDigest(action), nonce: seen.nonce }
      const proof = makeDpopProof(
        { htm: 'POST', htu, jti: canary(), now: scene.system.clock.now(), ...over },
        sampleKey(data, 'reconciler'),
      )
      secrets.add('a proof', proof)
      Object.assign(seen, { credential: held.token, proof })
      const call = { credential: held.token, proof, htm: 'POST', htu, action }
      const said = await point.guard(call, async () => ({ read: secret }))
      if (said.allowed) allowed++
      else seen.nonce = said.dpopNonce ?? seen.nonce
    },
    /** Puts secrets where they do not belong. */
    async misplace(random: () => number): Promise<void> {
      const { credential, proof } = seen
      const one = random() < 0.5 ? credential : proof
      const json = { 'content-type': 'application/json', authorization: `Bearer ${one}`, dpop: one }
      const post = (path: string, body: string, headers: Record<string, string> = json) =>
        fetch(`${url}${path}`, { method: 'POST', headers, body })
      const ways = [
        () => fetch(`${url}/v1/trace/${one}`),
        () => fetch(`${url}/v1/events?agent=${one}&more=${one}`),
        () => fetch(`${url}/log/proof/${one.slice(0, 60)}`),
        () => fetch(`${url}/${one}?token=${one}`),
        () => fetch(`${url}/console/api/me`, { headers: { cookie: `__Host-bailiwick=${one}` } }),
        () => fetch(`${url}/access/v1/requests/${one}`, { headers: { authorization: `DPoP ${one}`, dpop: one } }),
        () => post('/access/v1/evaluation', JSON.stringify({ [one]: one, subject: { type: one, id: one } })),
        () => post('/access/v1/evaluation', `{"token":"${one}"`),
        () => post('/v1/outcomes', JSON.stringify({ outcome: one })),
        () => post('/log/outcomes', JSON.stringify({ outcome: one })),
        () => post('/access/v1/requests', JSON.stringify({ request: one, prose: one })),
        () =>
          post('/oauth/token', `grant_type=${one}&client_assertion=${one}`, {
            'content-type': 'application/x-www-form-urlencoded',
          }),
        () => post('/oauth/introspect', `token=${one}`, { 'content-type': 'application/x-www-form-urlencoded' }),
        () => post('/oauth/revoke', one, { 'content-type': one.slice(0, 40) }),
        () => post('/console/api/session', JSON.stringify({ sign_in_id: one, assertion: { signature: one } })),
      ]
      await (await (ways[Math.floor(random() * ways.length)] as () => Promise<Response>)()).text()
    },
    async poison(): Promise<void> {
      for (const topic of ['grants.v1', 'approvals.v1', 'access-requests.v1'])
        for (const one of [seen.credential, `{"token":"${seen.proof}"}`]) await scene.put(topic, 'k', Buffer.from(one))
    },
    delivered: () => point.delivered(),
    async places(): Promise<[string, Buffer][]> {
      const size = scene.system.services.evidence.size()
      const file = join(folder, 'evidence.jsonl')
      await eventually(
        'the sinks have it',
        () => readFileSync(file, 'utf8').split('\n').length > size || undefined,
        120_000,
      )
      const metrics = await (await real(`${url}/metrics`)).text()
      const messages: [string, Buffer][] = []
      // The messages that the attacker put on the bus stay there; nothing that reports on them contains their secrets.
      for (const { name } of topics)
        for (const { key, bytes } of await scene.read(name))
          if (key !== 'k' || name.endsWith('.parked')) messages.push([name, Buffer.from(bytes)])
      const joined = Map.groupBy(messages, ([name]) => name)
      return [
        ['the log of the services', Buffer.from(lines.join(''))],
        ['what was printed', Buffer.from(printed.join(''))],
        ['refusals', Buffer.from(refusals.join('\n'))],
        ['what the collector got', Buffer.from(collected.join(''))],
        ['the file for a SIEM', readFileSync(file)],
        ['/metrics', Buffer.from(metrics)],
        ...[...joined].map(([name, of]): [string, Buffer] => [name, Buffer.concat(of.map(([, bytes]) => bytes))]),
        ...[...filesBelow(join(data, 'evidence')), ...filesBelow(paths(data).grants)],
      ]
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** Every file below, with its bytes. */
function* filesBelow(dir: string): Generator<[string, Buffer]> {
  for (const name of readdirSync(dir)) {
    const path = join(dir, name)
    const stat = statSync(path)
    if (stat.isDirectory()) yield* filesBelow(path)
    else if (stat.isFile()) yield [path, readFileSync(path)]
  }
}
