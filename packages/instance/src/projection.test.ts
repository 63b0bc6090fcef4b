import { faultyBus } from '@bailiwick/bus'
import { generateKey, otherSpellingOf } from '@bailiwick/credentials'
import type { Fact } from '@bailiwick/projection'
import { anEvent, at, idOf } from '@bailiwick/projection/events-fixture'
import { describe, expect, it } from 'vitest'
import { certified, Installation, keyDraft, keys, revocation, signed } from './installation.fixture.ts'

const grt = idOf('grt', 'one')
/** The issuer's first events: every service's key. */
async function registered(installation: Installation) {
  const { projection } = await installation.reader(['revocations.v1'])
  const issuer = installation.producer(projection)
  await issuer.publish('registry.v1', [keyDraft('issuer'), keyDraft('approval'), keyDraft('policy-decision')])
  return issuer
}
const declared = (version: number, more = {}) =>
  anEvent('revocations.v1', 'revocation.declared', {
    about: 'revocations',
    version,
    source: '/issuer/forger',
    id: idOf('evt', `revocation-${version}`),
    time: at(0),
    data: { kind: 'grant', target: `${grt}${version}` },
    ...more,
  })

describe('what can never count (V12)', () => {
  const stranger = generateKey('issuer-event')
  const approvalSays = anEvent('approvals.v1', 'request.received', {
    about: idOf('req', 'one'),
    version: 1,
    source: '/issuer/run',
    time: at(0),
    data: { request_id: idOf('req', 'one') },
  })
  const good = signed(declared(1), keys.issuer)
  const headOf = (producer: string, source: string) =>
    anEvent('heads.v1', 'head.published', { about: source, source, time: at(0), data: { service: 'issuer', producer } })

  it.each<[string, 'revocations.v1' | 'approvals.v1' | 'heads.v1', { key: string; bytes: Uint8Array }, string]>([
    ['no JSON', 'revocations.v1', { key: 'revocations', bytes: Buffer.from('{') }, 'json_malformed'],
    ['no event', 'revocations.v1', { key: 'revocations', bytes: Buffer.from('{}') }, 'event_malformed'],
    ['bytes that are no UTF-8', 'revocations.v1', { key: 'k', bytes: Buffer.from([0xff, 0xfe]) }, 'json_malformed'],
    ['an event under another key', 'revocations.v1', { ...good, key: 'elsewhere' }, 'event_malformed'],
    ['an event of another topic', 'approvals.v1', good, 'event_type_unknown'],
    ['a signature by an unknown key', 'revocations.v1', signed(declared(1), stranger), 'key_unknown'],
    ['a signature by another service', 'revocations.v1', signed(declared(1), keys.approval), 'key_purpose_wrong'],
    ["another service's name", 'approvals.v1', signed(approvalSays, keys.approval), 'key_purpose_wrong'],
    [
      "a head of an issuer by approval's key (V8)",
      'heads.v1',
      signed(headOf('/issuer/run', '/approval/run'), keys.approval),
      'key_purpose_wrong',
    ],
    [
      'a signature from before the key was valid',
      'revocations.v1',
      signed(declared(1, { time: at(-3_600_001) }), keys.issuer),
      'token_expired',
    ],
    [
      'a changed event',
      'revocations.v1',
      { ...good, bytes: Buffer.from(Buffer.from(good.bytes).toString().replace(`${grt}1`, `${grt}2`)) },
      'signature_invalid',
    ],
  ])('%s is refused and reported, and does not hold up the rest', async (_, topic, forged, code) => {
    await using installation = await Installation.open()
    const issuer = await registered(installation)
    const { projection, refusals } = await installation.reader(['approvals.v1', 'revocations.v1'])
    const facts: Fact[] = []
    projection.onFact((fact) => facts.push(fact))
    const [position] = await installation.bus.publish(topic, [forged])
    if (position) await projection.waitFor(position, 5000)
    expect(refusals.map((refusal) => refusal.code)).toEqual([code])
    expect(facts).toEqual([])
    expect(projection.ledger.revocations.sequence).toBe(0)
    const { position: next } = await issuer.publishOne('revocations.v1', revocation(1))
    await projection.waitFor(next, 5000)
    expect(projection.ledger.revocations.sequence).toBe(1)
    expect(facts).toHaveLength(1)
  })

  it('a key that was retired signs nothing later; what it signed before stands', async () => {
    await using installation = await Installation.open()
    const issuer = await registered(installation)
    const { projection, refusals } = await installation.reader(['approvals.v1'])
    const { id } = certified('approval')
    installation.time.pass(1000)
    const draft = keyDraft('approval')
    const retired = {
      type: 'service-key.retired' as const,
      subject: draft.subject,
      version: 2,
      data: { entity: { type: 'service-key' as const, id }, authorization: draft.data.authorization },
    }
    const { position } = await issuer.publishOne('registry.v1', retired)
    await projection.waitFor(position, 5000)
    const said = (ms: number) =>
      anEvent('approvals.v1', 'request.received', {
        about: idOf('req', ms),
        version: 1,
        source: '/approval/run',
        time: at(ms),
        id: idOf('evt', ms),
        data: { request_id: idOf('req', ms) },
      })
    // Replaying the first certificate gains nothing.
    const { position: replayed } = await issuer
      .publish('registry.v1', [{ ...draft, version: 9 }])
      .then(([published]) => published ?? expect.fail())
    await projection.waitFor(replayed, 5000)
    for (const ms of [999, 1000, 2000]) {
      const [there] = await installation.bus.publish('approvals.v1', [signed(said(ms), keys.approval)])
      if (there) await projection.waitFor(there, 5000)
    }
    expect([...projection.ledger.requests.requests.keys()]).toEqual([idOf('req', 999)])
    expect(refusals.map(({ code }) => code)).toEqual(['token_expired', 'token_expired'])
  })
})

it('what a revoked credential key signed is nothing once that is read, where the clock is behind too (V7)', async () => {
  await using installation = await Installation.open()
  const issuer = await registered(installation)
  const key = generateKey('credential')
  const draft = keyDraft('issuer', key)
  await issuer.publish('registry.v1', [draft])
  const time = { now: () => installation.time.now() - 900, monotonic: installation.time.monotonic }
  const { projection, keyRing } = await installation.reader([], { time })
  expect(keyRing.find(key.kid, 'credential', time.now())).toMatchObject({ ok: true })
  const { authorization } = draft.data
  const { position } = await issuer.publishOne('registry.v1', {
    type: 'service-key.retired',
    subject: draft.subject,
    version: 2,
    data: { entity: { type: 'service-key', id: key.kid }, authorization },
  })
  await projection.waitFor(position, 5000)
  expect(keyRing.find(key.kid, 'credential', time.now())).toMatchObject({ ok: false, code: 'token_expired' })
})

it('an event of a key that is on its way waits for the registry, however late that is read (V7)', async () => {
  await using installation = await Installation.open()
  await registered(installation)
  const bus = faultyBus(installation.bus, () => undefined)
  const { projection, refusals } = await installation.reader(['revocations.v1'], { bus })
  const second = generateKey('issuer-event')
  bus.hold('registry.v1')
  const { source } = installation.producer(projection)
  const registration = anEvent('registry.v1', 'service-key.registered', {
    about: `service-key ${second.kid}`,
    version: 1,
    source,
    time: at(0),
    data: keyDraft('issuer', second).data as never,
  })
  await installation.bus.publish('registry.v1', [signed(registration, second)])
  const [position] = await installation.bus.publish('revocations.v1', [signed(declared(1), second)])
  if (!position) return expect.fail()
  // However long this takes: a skipped event would be missing here for good, and this reader would stay stale.
  await expect(projection.waitFor(position, 5500)).rejects.toMatchObject({ code: 'deadline_exceeded' })
  expect(refusals).toEqual([])
  bus.release('registry.v1')
  await projection.waitFor(position, 5000)
  expect(projection.ledger.revocations.sequence).toBe(1)
})

it('an id said again is one event; with other bytes it has no effect, there or anywhere (V2)', async () => {
  await using installation = await Installation.open()
  await registered(installation)
  const { projection } = await installation.reader(['revocations.v1'])
  const verdicts: string[] = []
  projection.onFact(({ verdict, event }) => verdicts.push(`${event.version} ${verdict}`))
  const one = signed(declared(1), keys.issuer)
  const reused = signed(declared(2, { id: idOf('evt', 'revocation-1') }), keys.issuer)
  const positions = await installation.bus.publish('revocations.v1', [
    one,
    one,
    reused,
    signed(declared(2), keys.issuer),
    one,
    // Any party can write the signature in its other valid encoding.
    { ...one, bytes: otherSpellingOf(one.bytes) ?? expect.fail('it has none') },
  ])
  await projection.waitFor(positions[5] as never, 5000)
  expect(verdicts).toEqual(['1 counts', '1 repeated', '2 void', '2 counts', '1 repeated', '1 repeated'])
  expect(projection.ledger.revocations.sequence).toBe(2)
  expect(projection.counted(['revocations.v1', 'grants.v1'])).toEqual({
    'revocations.v1': { 0: { offset: positions[3]?.offset, id: idOf('evt', 'revocation-2') } },
    'grants.v1': {},
  })
  expect(projection.positions()['revocations.v1']).toEqual({ 0: positions[5]?.offset })
})

it('who starts again reads the same state, and revocations however old: their sequence goes on (V7)', async () => {
  await using installation = await Installation.open()
  const issuer = await registered(installation)
  const { projection: before } = await installation.reader(['revocations.v1', 'approvals.v1'])
  const approval = installation.producer(before, 'approval')
  await issuer.publish('revocations.v1', [revocation(1), revocation(2), revocation(3)])
  const request = anEvent('approvals.v1', 'request.received', { data: { request_id: idOf('req', 'old') } })
  await approval.publishOne('approvals.v1', {
    type: 'request.received',
    subject: idOf('req', 'old'),
    version: 1,
    data: request.data as never,
  })
  installation.time.pass(10 * 3600 * 1000)
  await installation.stop()
  await installation.start()
  const { projection } = await installation.reader(['revocations.v1', 'approvals.v1'])
  expect(projection.ledger.revocations.sequence).toBe(3)
  expect(projection.ledger.revocations.find('grant', 'grt_2')).toEqual(before.ledger.revocations.find('grant', 'grt_2'))
  expect(projection.ledger.registry.records()).toEqual(before.ledger.registry.records())
  expect(projection.ledger.requests.requests.size).toBe(0) // nothing outlives 8 h
  const next = installation.producer(projection)
  expect(await next.publishOne('revocations.v1', revocation(4))).toMatchObject({ verdict: 'counts' })
})

it('what a listener or a waiter does not wait for any more does not stop the follower', async () => {
  await using installation = await Installation.open()
  const issuer = await registered(installation)
  const { projection } = await installation.reader(['revocations.v1'])
  let heard = 0
  const stop = projection.onFact(() => heard++)
  const broken = projection.until(() => {
    if (projection.ledger.revocations.sequence > 0) throw new Error('mine')
    return undefined
  }, 5000)
  const waiting = projection.until(() => projection.ledger.revocations.sequence >= 2 || undefined, 5000)
  broken.catch(() => undefined)
  await issuer.publish('revocations.v1', [revocation(1)])
  await expect(broken).rejects.toThrow('mine')
  stop()
  await issuer.publish('revocations.v1', [revocation(2)])
  expect(await waiting).toBe(true)
  expect(heard).toBe(1)
})

it('a bus that is away while the registry is read for a key is waited for: it ends no reader, and refuses no event (V13)', async () => {
  let broken = 0
  await using installation = await Installation.open((bus) =>
    faultyBus(bus, ({ method }) => (method === 'ends' && broken-- > 0 ? 'before' : undefined)),
  )
  const { projection, refusals } = await installation.reader(['revocations.v1'])
  const failed: unknown[] = []
  projection.failed.catch((error) => failed.push(error))
  broken = 2
  const [position] = await installation.bus.publish('revocations.v1', [
    signed(declared(1), generateKey('issuer-event')),
  ])
  if (position) await projection.waitFor(position, 20_000)
  expect(broken).toBe(-1)
  expect(failed).toEqual([])
  expect(refusals.map(({ code }) => code)).toEqual(['key_unknown'])
})

describe('what this process signed itself (V12)', () => {
  it('is known by its bytes and not by its id', async () => {
    await using installation = await Installation.open()
    await registered(installation)
    const { projection, refusals } = await installation.reader(['revocations.v1'])
    const own = { ...signed(declared(1), keys.issuer), id: declared(1).id }
    const verdict = projection.verdictOn('revocations.v1', own, 60_000)
    const forged = Buffer.from(Buffer.from(own.bytes).toString().replace(`${grt}1`, `${grt}2`))
    await installation.bus.publish('revocations.v1', [{ ...own, bytes: forged }, own])
    expect(await verdict).toBe('counts')
    expect(refusals.map(({ code }) => code)).toEqual(['signature_invalid'])
    expect(projection.ledger.revocations.sequence).toBe(1)
  })

  it('counts by a certified key alone', async () => {
    await using installation = await Installation.open()
    await registered(installation)
    const { projection, refusals } = await installation.reader(['revocations.v1'])
    const stray = { ...signed(declared(1), generateKey('issuer-event')), id: declared(1).id }
    const verdict = projection.verdictOn('revocations.v1', stray, 60_000).catch(() => 'none')
    const [position] = await installation.bus.publish('revocations.v1', [stray])
    if (position) await projection.waitFor(position, 60_000)
    expect(refusals.map(({ code }) => code)).toEqual(['key_unknown'])
    await projection[Symbol.asyncDispose]()
    expect(await verdict).toBe('none')
  })
})

it('every wait ends: at its deadline, or with the projection', async () => {
  await using installation = await Installation.open()
  const { projection } = await installation.reader(['revocations.v1'])
  const never = { topic: 'revocations.v1', partition: 0, offset: 7 }
  const own = { id: 'evt', bytes: Buffer.from('{}') }
  expect(await projection.until(() => 'at once', 0)).toBe('at once')
  expect(await projection.until(() => undefined, 5)).toBeUndefined()
  await expect(projection.waitFor(never, 5)).rejects.toMatchObject({ code: 'deadline_exceeded' })
  await expect(projection.verdictOn('revocations.v1', own, 5)).rejects.toMatchObject({ code: 'deadline_exceeded' })
  const [late, far, none] = [
    expect(projection.waitFor(never, 60_000)).rejects.toMatchObject({ code: 'deadline_exceeded' }),
    expect(projection.verdictOn('revocations.v1', own, 60_000)).rejects.toMatchObject({ code: 'deadline_exceeded' }),
    projection.until(() => undefined, 60_000),
  ]
  await projection[Symbol.asyncDispose]()
  await Promise.all([late, far])
  expect(await none).toBeUndefined()
  expect(await projection.until(() => undefined, 60_000)).toBeUndefined()
  await expect(projection.verdictOn('revocations.v1', own, 60_000)).rejects.toMatchObject({
    code: 'deadline_exceeded',
  })
})

describe('fresh (V8)', () => {
  async function scene(installation: Installation) {
    const issuer = await registered(installation)
    const { projection } = await installation.reader(['revocations.v1'])
    const say = async (more: object = {}, by = issuer) => {
      const [head] = await by.publish('heads.v1', [
        {
          type: 'head.published',
          subject: by.source,
          data: {
            service: 'issuer',
            producer: by.source,
            active: true,
            sequence: 0,
            hash: 'none',
            counted: {},
            read: {},
            stopping: false,
            ...more,
          },
        },
      ])
      if (head) await projection.waitFor(head.position, 5000)
    }
    return { issuer, projection, say }
  }

  it('only while a young head of the active issuer is here, by a clock that cannot be set', async () => {
    await using installation = await Installation.open()
    const { projection, say } = await scene(installation)
    const { time } = installation
    expect(projection.fresh()).toBe(false)
    await say({ active: false })
    expect(projection.fresh()).toBe(false)
    await say()
    expect(projection.fresh()).toBe(true)
    time.wall -= 3_600_000 // set back: this makes no head older or younger
    expect(projection.fresh()).toBe(true)
    time.wall += 2 * 3_600_000
    time.ticks += 2000
    expect(projection.fresh()).toBe(true)
    time.ticks += 1
    expect(projection.fresh()).toBe(false)
    await say({ active: false })
    await say({ stopping: true })
    expect(projection.fresh()).toBe(false)
    await say()
    expect(projection.fresh()).toBe(true)
  })

  it('not by a head from another time, nor by an old one that comes again', async () => {
    await using installation = await Installation.open()
    const { issuer, projection } = await scene(installation)
    const head = (ms: number) =>
      signed(
        anEvent('heads.v1', 'head.published', {
          about: issuer.source,
          source: issuer.source,
          time: at(ms),
          id: idOf('evt', `head-${ms}`),
          data: { service: 'issuer', producer: issuer.source, active: true, stopping: false, counted: {} },
        }),
        keys.issuer,
      )
    const hear = async (ms: number) => {
      const [position] = await installation.bus.publish('heads.v1', [head(ms)])
      if (position) await projection.waitFor(position, 5000)
      return projection.fresh()
    }
    expect(await hear(1001)).toBe(false)
    expect(await hear(-1001)).toBe(false)
    expect(await hear(-1000)).toBe(true)
    installation.time.ticks += 2001 // the wall clock stands still, so by it the same head would still be young
    expect(await hear(-1000)).toBe(false)
    expect(await hear(0)).toBe(true)
  })

  it('not until everything is folded that the head names', async () => {
    await using installation = await Installation.open()
    const bus = faultyBus(installation.bus, () => undefined)
    const issuer = await registered(installation)
    const { projection } = await installation.reader(['revocations.v1'], { bus })
    bus.hold('revocations.v1')
    const { position } = await issuer.publishOne('revocations.v1', revocation(1))
    const counted = {
      'revocations.v1': { 0: { offset: position.offset, id: 'evt' } },
      'grants.v1': { 0: { offset: 99, id: 'evt' } },
    }
    const [head] = await issuer.publish('heads.v1', [
      {
        type: 'head.published',
        subject: issuer.source,
        data: {
          service: 'issuer',
          producer: issuer.source,
          active: true,
          sequence: 4,
          hash: 'none',
          counted,
          read: {},
          stopping: false,
        },
      },
    ])
    if (head) await projection.waitFor(head.position, 5000)
    expect(projection.heads.active('issuer')).toBeDefined()
    expect(projection.fresh()).toBe(false)
    bus.release('revocations.v1')
    await projection.waitFor(position, 5000)
    expect(projection.fresh()).toBe(true)
  })
})
