import { once } from 'node:events'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { exportPrivateKey } from '@bailiwick/credentials'
import { logger } from '@bailiwick/host'
import { paths } from '@bailiwick/installation'
import { sampleAuthority, sampleKey } from '@bailiwick/standalone/sample'
import { expect, it, vi } from 'vitest'
import { eventually, Scene } from './scene.ts'

const prose = 'CANARY-PROSE-7f3a: the board does not know of this yet'
const reason = 'CANARY-REASON-9c1d: she told me in confidence'

/** Every file below, with its bytes. */
function* filesBelow(dir: string): Generator<[string, Buffer]> {
  for (const name of readdirSync(dir)) {
    const path = join(dir, name)
    const stat = statSync(path)
    if (stat.isDirectory()) yield* filesBelow(path)
    else if (stat.isFile()) yield [path, readFileSync(path)]
  }
}

/** The files below that another user of this machine can read; closed folders are left out with everything in them. */
function* openBelow(dir: string): Generator<string> {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name)
    if ((statSync(path).mode & 0o077) === 0) continue
    if (entry.isDirectory()) yield* openBelow(path)
    else yield path
  }
}

it('another user of the machine reads only public keys, even where the data directory was open to all (V17)', async () => {
  await using scene = await Scene.open()
  const { data } = scene.system
  chmodSync(data, 0o755)
  await eventually('evidence has leaves', async () => scene.system.services.evidence.size() > 0 || undefined)
  const open = [...openBelow(data)].map((path) => relative(data, path)).sort()
  // The registry with which an installation begins, as its verifiers read it, and the keys that verify it.
  expect(open).toEqual(['genesis.json', 'trust.json'])
})

it('another user of the machine reads no event and no grant, even where their folders are mounted open to all (V17)', async () => {
  await using scene = await Scene.open()
  const { data } = scene.system
  for (const folder of [paths(data).bus, paths(data).grants]) chmodSync(folder, 0o755)
  const open = [...openBelow(paths(data).bus), ...openBelow(paths(data).grants)].map((path) => relative(data, path))
  // Empty, or something that the machine shows to each of its users.
  const harmless = ['bus/process.lock', 'bus/process.lock-journal', 'grants/boot_id']
  expect(open.filter((path) => !harmless.includes(path))).toEqual([])
})

it('no secret stands in bus, log, grants, evidence, metrics or output, and prose only in attachments (V17)', async () => {
  const printed: string[] = []
  for (const stream of [process.stdout, process.stderr] as const)
    vi.spyOn(stream, 'write').mockImplementation((chunk) => printed.push(String(chunk)) > 0)
  // Records what the programs send each other, as a proxy would see it.
  const secrets = new Map<string, string>()
  const see = (what: string, value: string | null | undefined) => {
    if (value && value.length > 20 && !secrets.has(value)) secrets.set(value, what)
  }
  const real = globalThis.fetch
  vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
    const headers = new Headers(init?.headers)
    see('a proof', headers.get('dpop'))
    see('an authorization', headers.get('authorization')?.split(' ')[1])
    see('a cookie', headers.get('cookie')?.split('=')[1])
    const form = new URLSearchParams(init?.body instanceof URLSearchParams ? init.body : String(init?.body ?? ''))
    see('a client assertion', form.get('client_assertion'))
    const response = await real(input, init)
    const copy = response.clone()
    see('a cookie', /__Host-bailiwick=([^;]+)/.exec(response.headers.get('set-cookie') ?? '')?.[1])
    const body = (await copy.json().catch(() => ({}))) as { access_token?: string; context?: { permit?: string } }
    see('a credential', body.access_token)
    see('a permit', body.context?.permit)
    return response
  })
  const lines: string[] = []
  const log = logger({ service: 'abuse', level: 'trace', destination: { write: (line) => void lines.push(line) } })
  // The destinations to which evidence forwards: a collector that stores everything, and a file.
  const collected: string[] = []
  const collector = createServer(async (request, response) => {
    for await (const chunk of request) collected.push(String(chunk))
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  }).listen(0, '127.0.0.1')
  await once(collector, 'listening')
  const folder = mkdtempSync(join(tmpdir(), 'secrets-'))
  const file = join(folder, 'evidence.jsonl')
  const env = {
    BAILIWICK_SINK_OTLP: `http://127.0.0.1:${(collector.address() as AddressInfo).port}`,
    BAILIWICK_SINK_FILE: file,
  }
  await using scene = await Scene.open({ logger: log, env })
  const { data, host } = scene.system
  for (const name of ['reconciler', 'forecaster', 'point-caller', 'point-outcome'] as const)
    see(`the key of ${name}`, exportPrivateKey(sampleKey(data, name)).d)
  for (const [service, name, purpose] of [
    ['issuer', 'event', 'issuer-event'],
    ['issuer', 'credential', 'credential'],
    ['approval', 'event', 'approval-event'],
    ['policy-decision', 'event', 'pdp-event'],
    ['policy-decision', 'permit', 'permit'],
    ['evidence', 'event', 'evidence-event'],
  ] as const)
    see(`the key ${service}/${name}`, exportPrivateKey(host.key(service, name, purpose).current).d)

  const agent = scene.agent()
  const signed = agent.signRequest({
    authority: sampleAuthority,
    mode: 'window',
    expiresInSeconds: 600,
    purpose: prose,
  })
  const { requestId } = await agent.request(signed)
  const { grant_id: grantId = '' } = await scene.approver.approve(requestId)
  expect(await scene.tryCall(agent, grantId)).toBe('ok')
  await (await scene.call(agent, grantId, 'adjust', { invoice: 'INV-1', amount: '501', currency: 'EUR' })).text()
  // Secrets where they do not belong: sent as something else, or malformed.
  const { token } = await agent.credential({ grantId })
  for (const path of [
    `/v1/trace/${token}`,
    `/access/v1/requests/${token.slice(0, 60)}`,
    `/log/proof/${token.slice(0, 60)}`,
  ])
    await (await real(`${scene.url}${path}`)).text()
  for (const path of ['/access/v1/evaluation', '/v1/outcomes', '/access/v1/requests', '/oauth/token'])
    await (
      await real(`${scene.url}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, dpop: token },
        body: JSON.stringify({ [token]: token, outcome: token, credential: token }),
      })
    ).text()
  await scene.put('grants.v1', 'k', Buffer.from(token))
  await scene.put('access-requests.v1', 'k', Buffer.from(token))
  await scene.approver.withdraw(requestId, reason)
  await scene.invoices.delivered()
  await pause(2000)
  const metrics = await (await real(`${scene.url}/metrics`)).text()
  const stood = await eventually('evidence has it', async () => {
    const report = await scene.audited()
    return report.counted['event.parked'] ? report : undefined
  })
  expect(stood.findings).toEqual([])

  expect([...new Set(secrets.values())].filter((what) => !what.startsWith('the key')).sort()).toEqual(
    ['a client assertion', 'a cookie', 'a credential', 'a permit', 'a proof', 'an authorization'].sort(),
  )
  const size = scene.system.services.evidence.size()
  await eventually('the sinks have it', async () => {
    const lines = readFileSync(file, 'utf8').split('\n').length - 1
    return lines >= size && collected.join('').includes(`"stringValue":"event.parked"`) ? true : undefined
  })
  const places: [string, Buffer][] = [
    ['what the collector got', Buffer.from(collected.join(''))],
    ['the file for a SIEM', readFileSync(file)],
    ['the log of the services', Buffer.from(lines.join(''))],
    ['what was printed', Buffer.from(printed.join(''))],
    ['/metrics', Buffer.from(metrics)],
    ...[...filesBelow(paths(data).bus), ...filesBelow(paths(data).grants), ...filesBelow(join(data, 'evidence'))],
  ]
  expect(lines.length).toBeGreaterThan(10)
  expect(places.length).toBeGreaterThan(10)
  // The search works: it finds a string that is there.
  expect(places.filter(([, bytes]) => bytes.includes(grantId)).length).toBeGreaterThan(1)
  const found: string[] = []
  for (const [place, bytes] of places)
    for (const [secret, what] of secrets) {
      // The attacker's own two messages are on the bus, with what they contain.
      if (secret === token && place.includes('/bus/')) continue
      if (bytes.includes(secret)) found.push(`${what} in ${place}`)
    }
  expect(found).toEqual([])
  // The same on the bus, message by message.
  for (const topic of [
    'approvals.v1',
    'registry.v1',
    'grants.v1',
    'revocations.v1',
    'decisions.v1',
    'findings.v1',
    'grants.v1.parked',
    'evidence.v1',
    'heads.v1',
  ])
    for (const { key, text } of await scene.read(topic)) {
      if (key === 'k') continue
      for (const [secret, what] of secrets) expect([topic, text.includes(secret) && what]).toEqual([topic, false])
      for (const words of [prose, reason, 'CANARY']) expect([topic, text.includes(words)]).toEqual([topic, false])
    }
  const attached = (await scene.read('attachments.approval.v1')).map(({ text }) => text).join()
  expect(attached).toContain(prose)
  expect(attached).toContain(reason)
  // Prose is also stored next to the log, where it can be erased.
  const elsewhere = (place: string) => !place.includes('/bus/') && !place.includes('attachments')
  for (const [place, bytes] of places.filter(([place]) => elsewhere(place)))
    expect([place, bytes.includes('CANARY')]).toEqual([place, false])
  vi.restoreAllMocks()
  collector.close()
  rmSync(folder, { recursive: true })
})
