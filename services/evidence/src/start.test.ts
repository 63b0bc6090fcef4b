import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Bus, faultyBus } from '@bailiwick/bus'
import { embeddedBus } from '@bailiwick/bus/embedded'
import { type DecodedEvent, topicNamed } from '@bailiwick/contracts'
import { generateKey, sha256, signEvent } from '@bailiwick/credentials'
import { systemClock } from '@bailiwick/kit'
import { encodeVkey, leafHash, openCheckpoint, openTlogProof } from '@bailiwick/tlog'
import { expect, it } from 'vitest'
import { Installed } from './evidence.fixture.ts'
import { diskLogStorage } from './log/disk/disk-log-storage.ts'
import { type Break, faultyLogStorage, type StorageWrite } from './log/faulty-log-storage.ts'
import { logKey } from './log/log.fixture.ts'
import { aWitness, witnessKeyOf } from './witnesses/witness.fixture.ts'

const OTHER_LOG = encodeVkey(logKey.verifier)

const openBus = (installed: Installed): Promise<Bus> =>
  embeddedBus({
    dir: installed.at.bus,
    partitions: (topic) => topicNamed(topic)?.partitions ?? 1,
    retentionMs: () => undefined,
    inMemory: (topic) => topic === 'heads.v1',
    now: () => systemClock.now(),
  })

const aDenial = (n: number) => ({
  type: 'denials.summarised' as const,
  subject: `agent ${n}`,
  data: {
    from: '2026-01-01T00:00:00.000Z',
    to: '2026-01-01T00:01:00.000Z',
    denials: [{ subject: `agent ${n}`, reason: 'credential_missing', count: n + 1 }],
  },
})
const denials = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => aDenial(from + n))

const parse = (entry: string) => JSON.parse(entry) as DecodedEvent
const idsOf = (entries: readonly string[]) => entries.map((entry) => parse(entry).id)
/** Every event of every leaf topic, exactly as it is on the bus. */
async function onTheBus(bus: Bus): Promise<Set<string>> {
  const events = new Set<string>()
  const topics = ['registry.v1', 'decisions.v1', 'findings.v1', 'decisions.v1.parked', 'grants.v1.parked']
  await using follower = await bus.follow(topics, 'start', async (batch) => {
    for (const { topic, bytes } of batch) {
      const text = Buffer.from(bytes).toString()
      if (topic.endsWith('.parked') || text.includes('"jws"')) events.add(text)
    }
  })
  await follower.caughtUp
  return events
}

it('makes one leaf of each event, and goes on where it was after a restart (V2, V14)', async () => {
  using installed = new Installed()
  await using bus = await openBus(installed)
  await using _issuer = await installed.registered(bus)
  await using pdp = await installed.participant(bus, 'policy-decision')
  const first = await pdp.producer.publish('decisions.v1', denials(0, 3))
  {
    await using evidence = await installed.evidence(bus)
    for (const { id } of first) await evidence.integrated(id, 20_000)
  }
  const before = await installed.verified()
  const second = await pdp.producer.publish('decisions.v1', denials(3, 5))
  {
    await using evidence = await installed.evidence(bus)
    for (const { id } of second) await evidence.integrated(id, 20_000)
    expect(evidence.size()).toBe(before.head.size + 2)
  }
  const { entries } = await installed.verified()
  expect(entries.slice(0, before.head.size)).toEqual(before.entries)
  expect(new Set(entries)).toEqual(await onTheBus(bus))
  expect(new Set(entries).size).toBe(entries.length)
  expect(idsOf(entries)).toEqual(expect.arrayContaining([...first, ...second].map(({ id }) => id)))
})

const writes = (['write', 'swapHead', 'publishCheckpoint'] as const).flatMap((method) =>
  (['before', 'partly', 'after'] as const).map((where): [StorageWrite['method'], Break] => [method, where]),
)
it.each(writes)(
  'stops when %s fails %s its effect, and its next start loses and doubles nothing (V2, V14)',
  async (method, where) => {
    using installed = new Installed()
    await using bus = await openBus(installed)
    await using _issuer = await installed.registered(bus)
    await using pdp = await installed.participant(bus, 'policy-decision')
    {
      await using _evidence = await installed.evidence(bus)
    }
    {
      await using evidence = await installed.evidence(bus, {
        wrapStorage: (real) => faultyLogStorage(real, (write) => (write.method === method ? where : undefined)),
      })
      await pdp.producer.publish('decisions.v1', denials(0, 20))
      expect(await evidence.fatal).toBeInstanceOf(Error)
    }
    const published = await installed.verified()
    await pdp.producer.publish('decisions.v1', denials(20, 23))
    {
      await using _evidence = await installed.evidence(bus)
    }
    const { entries } = await installed.verified()
    expect(entries.slice(0, published.head.size)).toEqual(published.entries)
    expect(entries.length).toBe(new Set(entries).size)
    expect(new Set(entries)).toEqual(await onTheBus(bus))
  },
)

it('makes one leaf of an event, and parks a message once, that the bus delivers again and again (V2)', async () => {
  using installed = new Installed()
  const real = await openBus(installed)
  const unreadable = Buffer.from('not JSON')
  let lost = 0
  await using bus = faultyBus(real, ({ method, n }) => {
    if (method !== 'consume' || n % 3 === 2) return undefined
    lost++
    return 'after'
  })
  await using _issuer = await installed.registered(bus)
  await using pdp = await installed.participant(bus, 'policy-decision')
  const published = await pdp.producer.publish('decisions.v1', denials(0, 50))
  await bus.publish('grants.v1', [{ key: 'unknown', bytes: unreadable }])
  {
    await using evidence = await installed.evidence(bus)
    for (const { id } of published) await evidence.integrated(id, 20_000)
  }
  expect(lost).toBeGreaterThan(0)
  const { entries } = await installed.verified()
  expect(entries.length).toBe(new Set(entries).size)
  expect(new Set(entries)).toEqual(await onTheBus(bus))
  expect(entries.map(parse).filter(({ type }) => type === 'event.parked')).toHaveLength(1)
})

it('parks once what it parked just before it died', async () => {
  using installed = new Installed()
  await using real = await openBus(installed)
  await using _issuer = await installed.registered(real)
  const publish = (text: string) => real.publish('grants.v1', [{ key: 'unknown', bytes: Buffer.from(text) }])
  const parked = async (count: number) => {
    for (;;) {
      const found = (await installed.verified()).entries.map(parse).filter(({ type }) => type === 'event.parked')
      if (found.length >= count) return found
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  await publish('not JSON')
  {
    // Nothing on this topic is ever committed.
    const plan: Parameters<typeof faultyBus>[1] = ({ method, topic }) =>
      method === 'consume' && topic === 'grants.v1' ? 'after' : undefined
    await using _evidence = await installed.evidence(faultyBus(real, plan))
    await parked(1)
  }
  await publish('nor this')
  {
    await using _evidence = await installed.evidence(real)
    await parked(2)
  }
  const offsets = (await parked(2)).map(({ data }) => (data as { offset: number }).offset)
  expect(offsets.toSorted()).toEqual([0, 1])
})

it('stands by while another process writes the log, and says so (V14)', async () => {
  using installed = new Installed()
  await using bus = await openBus(installed)
  await using _issuer = await installed.registered(bus)
  await using _evidence = await installed.evidence(bus)
  await using second = await installed.evidence(bus)
  expect(() => second.size()).toThrow(expect.objectContaining({ code: 'service_standby' }))
  expect(second.health.readiness()).toHaveProperty('evidence-active', expect.stringContaining('is the active one'))
  const answer = await second.http.inject({ method: 'GET', url: '/log/checkpoint' })
  expect(answer.statusCode).toBe(503)
  expect(answer.json()).toMatchObject({ code: 'service_standby' })
  expect(answer.headers['retry-after']).toBe('1')
  expect((await second.http.inject({ method: 'GET', url: '/healthz' })).statusCode).toBe(200)
})

it('takes over a log only once its lock is free, even if the holder is silent (V14)', async () => {
  using installed = new Installed()
  await using bus = await openBus(installed)
  await using _issuer = await installed.registered(bus)
  const silent = await diskLogStorage({ log: installed.at.log, dir: installed.at.evidence })
  await using evidence = await installed.evidence(bus)
  await new Promise((resolve) => setTimeout(resolve, 500))
  expect(evidence.health.readiness()).toHaveProperty('evidence-active', expect.stringContaining('log_locked'))
  await silent[Symbol.asyncDispose]()
  while (evidence.health.gates()['evidence-active'] !== undefined)
    await new Promise((resolve) => setTimeout(resolve, 10))
  expect(evidence.size()).toBeGreaterThanOrEqual(0)
})

it('refuses the key of another log', async () => {
  using installed = new Installed()
  using other = new Installed()
  await using bus = await openBus(installed)
  const log = readFileSync(other.at.logKey, 'utf8')
  await expect(installed.evidence(bus, {}, log)).rejects.toMatchObject({ code: 'trust_invalid' })
})

it('parks an unreadable message by place, hash and size, never its content, and goes on (V17)', async () => {
  using installed = new Installed()
  await using bus = await openBus(installed)
  await using _issuer = await installed.registered(bus)
  await using pdp = await installed.participant(bus, 'policy-decision')
  const secret = Buffer.from('{"canary-secret": not JSON')
  const [place] = await bus.publish('decisions.v1', [{ key: 'canary-secret', bytes: secret }])
  const [behind] = await pdp.producer.publish('decisions.v1', [aDenial(0)])
  {
    await using evidence = await installed.evidence(bus)
    await evidence.integrated(behind?.id ?? '', 20_000)
  }
  const { entries } = await installed.verified()
  const parked = entries.map(parse).filter(({ type }) => type === 'event.parked')
  expect(parked.map(({ data }) => data)).toEqual([
    { ...place, sha256: sha256(secret), size: secret.length, code: 'json_malformed' },
  ])
  expect(entries.join()).not.toContain('canary')
})

it('takes in no event that a certified key did not sign for its topic, and tells of the forgery (V12)', async () => {
  using installed = new Installed()
  await using bus = await openBus(installed)
  await using _issuer = await installed.registered(bus)
  await using pdp = await installed.participant(bus, 'policy-decision')
  const [genuine] = await pdp.producer.publish('decisions.v1', [aDenial(0)])
  const text = await textOn(bus, genuine?.id ?? '')
  const unsigned = Buffer.from(`${text.slice(0, text.lastIndexOf(',"jws"'))}}`)
  const forged = {
    changed: Buffer.from(text.replace('"count":1', '"count":2')),
    byAStranger: Buffer.from(signEvent(unsigned, generateKey('pdp-event'))),
  }
  const key = 'agent 0'
  for (const bytes of Object.values(forged)) await bus.publish('decisions.v1', [{ key, bytes }])
  {
    await using _evidence = await installed.evidence(bus)
  }
  const { entries } = await installed.verified()
  for (const bytes of Object.values(forged)) expect(entries).not.toContain(bytes.toString())
  const findings = entries.map(parse).filter(({ type }) => type === 'event.refused')
  expect(findings.map(({ data }) => data)).toEqual(
    expect.arrayContaining([
      { topic: 'decisions.v1', event_id: genuine?.id, sha256: sha256(forged.changed), code: 'signature_invalid' },
      { topic: 'decisions.v1', event_id: genuine?.id, sha256: sha256(forged.byAStranger), code: 'key_unknown' },
    ]),
  )
  expect(entries.map(parse).filter(({ type }) => type === 'event.parked')).toHaveLength(2)
})

it('announces checkpoints on the bus as it signs them', async () => {
  using installed = new Installed()
  await using bus = await openBus(installed)
  await using _issuer = await installed.registered(bus)
  {
    await using _evidence = await installed.evidence(bus)
  }
  const announced: DecodedEvent<'checkpoints.v1'>[] = []
  await using follower = await bus.follow(['checkpoints.v1'], 'start', async (batch) => {
    for (const { bytes } of batch)
      announced.push(parse(Buffer.from(bytes).toString()) as DecodedEvent<'checkpoints.v1'>)
  })
  await follower.caughtUp
  const note = readFileSync(join(installed.at.log, 'checkpoint'), 'utf8')
  expect(announced.at(-1)?.data.checkpoint).toBe(note)
  for (const { data } of announced)
    expect(openCheckpoint(data.checkpoint, { log: installed.log })).toMatchObject({ ok: true })
})

it('serves the log as C2SP tlog-tiles says: what is under the checkpoint, unchangeable, and receipts (V14)', async () => {
  using installed = new Installed()
  await using bus = await openBus(installed)
  await using _issuer = await installed.registered(bus)
  await using pdp = await installed.participant(bus, 'policy-decision')
  const published = await pdp.producer.publish('decisions.v1', denials(0, 300))
  await using evidence = await installed.evidence(bus)
  for (const { id } of published) await evidence.integrated(id, 20_000)
  const size = evidence.size()
  const get = (url: string) => evidence.http.inject({ method: 'GET', url })

  expect((await get('/log/vkey')).body).toBe(`${installed.trust.log.vkey}\n`)
  const checkpoint = await get('/log/checkpoint')
  expect(checkpoint.headers).toMatchObject({ 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-cache' })
  expect(openCheckpoint(checkpoint.body, { log: installed.log })).toMatchObject({ ok: true, checkpoint: { size } })

  for (const path of ['tile/0/000', 'tile/entries/000', 'tile/1/000.p/1', `tile/0/001.p/${size - 256}`]) {
    const tile = await get(`/log/${path}`)
    expect(tile.headers, path).toMatchObject({
      'content-type': 'application/octet-stream',
      'cache-control': 'public, max-age=31536000, immutable',
    })
    expect(tile.rawPayload.equals((await installed.read(path)) as Buffer), path).toBe(true)
  }
  // The files of a batch under way are not part of the log yet.
  writeFileSync(join(installed.at.log, 'tile/0/001'), Buffer.alloc(8192))
  const beyond = [
    'tile/0/001',
    `tile/0/001.p/${size - 255}`,
    'tile/2/000.p/1',
    'tile/0/1',
    'tile/..%2Fcheckpoint',
    'tile/x',
  ]
  for (const path of beyond) expect((await get(`/log/${path}`)).statusCode, path).toBe(404)

  rmSync(join(installed.at.log, 'tile/0/001'))
  const id = published[7]?.id ?? ''
  const index = await evidence.integrated(id, 0)
  const entry = Buffer.from((await installed.verified()).entries[index] ?? '')
  const proof = await get(`/log/proof/${id}`)
  expect(openTlogProof(proof.body, leafHash(entry), { log: installed.log })).toMatchObject({ ok: true, index })
  expect((await get('/log/proof/evt_00000000000000000000000000')).statusCode).toBe(404)
})

it('shows and announces checkpoints that its witnesses cosigned, and puts them into receipts', async () => {
  using installed = new Installed()
  await using first = await aWitness(1, undefined, installed.log)
  await using second = await aWitness(2, undefined, installed.log)
  const parties = [first, second].map(({ party: { key, url } }, n) => `witness w${n} ${encodeVkey(key)} ${url}\n`)
  const witnessPolicy = join(installed.data, 'witnesses')
  writeFileSync(witnessPolicy, `log ${encodeVkey(installed.log)}\n${parties.join('')}group g all w0 w1\nquorum g\n`)
  await using bus = await openBus(installed)
  await using _issuer = await installed.registered(bus)
  await using pdp = await installed.participant(bus, 'policy-decision')
  await using evidence = await installed.evidence(bus, { witnessPolicy })
  const [denied] = await pdp.producer.publish('decisions.v1', denials(0, 1))
  const index = await evidence.integrated(denied?.id ?? '', 20_000)
  const witnesses = [first, second].map(({ party }) => party.key)
  const cosigned = (note: string) => {
    const opened = openCheckpoint(note, { log: installed.log, witnesses })
    return opened.ok && opened.checkpoint.size > index && opened.witnesses.length === 2
  }
  const get = async (url: string) => (await evidence.http.inject({ method: 'GET', url })).body
  await expect.poll(async () => cosigned(await get('/log/checkpoint')), { timeout: 20_000 }).toBe(true)
  const entry = Buffer.from((await installed.verified()).entries[index] ?? '')
  const proof = openTlogProof(await get(`/log/proof/${denied?.id}`), leafHash(entry), { log: installed.log, witnesses })
  expect(proof).toMatchObject({ ok: true, index })
  expect(proof.ok && proof.witnesses).toHaveLength(2)
  let announced = ''
  await using _follower = await bus.follow(['checkpoints.v1'], 'start', async (batch) => {
    for (const { bytes } of batch)
      announced = (parse(Buffer.from(bytes).toString()) as DecodedEvent<'checkpoints.v1'>).data.checkpoint
  })
  await expect.poll(() => cosigned(announced), { timeout: 20_000 }).toBe(true)
})

it.each([
  ['is missing', undefined],
  ['is about another log', (witness: string) => `log ${OTHER_LOG}\n${witness} http://127.0.0.1:1\nquorum w\n`],
  ['says not where a witness is', (witness: string) => `${witness}\nquorum w\n`],
  ['is malformed', (witness: string) => `${witness} http://127.0.0.1:1\nquorum unknown\n`],
])('does not start with a policy that %s', async (_, policy) => {
  using installed = new Installed()
  await using bus = await openBus(installed)
  const witnessPolicy = join(installed.data, 'witnesses')
  if (policy !== undefined) writeFileSync(witnessPolicy, policy(`witness w ${encodeVkey(witnessKeyOf(1).verifier)}`))
  await expect(installed.evidence(bus, { witnessPolicy })).rejects.toMatchObject({ code: 'config_invalid' })
})

it('shows strangers no more than key and checkpoint unless the log is public', async () => {
  using installed = new Installed()
  await using bus = await openBus(installed)
  await using issuer = await installed.registered(bus)
  await using evidence = await installed.evidence(bus, { logPublic: false })
  const entities = issuer.projection.ledger.registry.records()
  const id = encodeURIComponent(entities[0]?.id ?? '')
  // Topics reach the log in any order, and their events reach its index a little later.
  const traced = () => evidence.operator.inject({ method: 'GET', url: `/v1/trace/${id}` })
  await expect.poll(async () => (await traced()).statusCode, { timeout: 20_000 }).toBe(200)
  for (const [url, status] of [
    ['/log/vkey', 200],
    ['/log/checkpoint', 200],
    [`/log/tile/0/000.p/${evidence.size()}`, 401],
    [`/v1/trace/${id}`, 401],
    [`/v1/touched?agent=${id}&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z`, 401],
  ] as const) {
    expect((await evidence.http.inject({ method: 'GET', url })).statusCode, url).toBe(status)
    expect((await evidence.operator.inject({ method: 'GET', url })).statusCode, url).toBe(200)
  }
})

async function textOn(bus: Bus, id: string): Promise<string> {
  let found = ''
  await using follower = await bus.follow(['decisions.v1'], 'start', async (batch) => {
    for (const { bytes } of batch) {
      const text = Buffer.from(bytes).toString()
      if (text.includes(id)) found = text
    }
  })
  await follower.caughtUp
  return found
}
