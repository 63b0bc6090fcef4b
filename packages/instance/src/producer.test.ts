import { setTimeout as pause } from 'node:timers/promises'
import { type Break, type Bus, type BusCall, faultyBus, type Message } from '@bailiwick/bus'
import { decodeEvent, type EventData, formatSequence, topicNamed } from '@bailiwick/contracts'
import { sha256 } from '@bailiwick/credentials'
import { type ErrorCode, ServiceError } from '@bailiwick/errors'
import { anEvent, idOf } from '@bailiwick/projection/events-fixture'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { publishHeads } from './head-publisher.ts'
import { Installation, keyDraft, revocation, standing } from './installation.fixture.ts'
import type { Draft, Producer, ProducerOptions } from './producer.ts'

/** Numbers and links of one producer's events on any topic. The same bytes twice are one event. */
function chainOf(messages: readonly Message[], source: string) {
  const links = new Map<string, { sequence: number; previous: string; hash: string }>()
  for (const { topic, bytes } of messages) {
    const decoded = decodeEvent(topicNamed(topic) as never, bytes)
    if (!decoded.ok) throw new Error(decoded.detail)
    const { event } = decoded
    if (event.source !== source || event.previous === undefined) continue
    links.set(sha256(bytes), { sequence: Number(event.sequence), previous: event.previous, hash: sha256(bytes) })
  }
  return [...links.values()].sort((one, other) => one.sequence - other.sequence)
}

/** Expects dense numbers from 1 on. Each event names the one before it, and the first names `predecessor`. */
function expectWhole(links: ReturnType<typeof chainOf>, predecessor: string): void {
  expect(links.map(({ sequence }) => sequence)).toEqual(links.map((_, n) => n + 1))
  expect(links.map(({ previous }) => previous)).toEqual(
    [predecessor, ...links.map(({ hash }) => hash)].slice(0, links.length),
  )
}
const leaves = async ({ bus }: Installation) => [
  ...(await standing(bus, 'registry.v1', 0)),
  ...(await standing(bus, 'revocations.v1', 0)),
]
const head = ({ source }: Producer): Draft<'heads.v1'> => ({
  type: 'head.published',
  subject: source,
  data: {
    service: 'issuer',
    producer: source,
    active: true,
    sequence: 0,
    hash: 'none',
    counted: {},
    read: {},
    stopping: false,
  },
})
const tooLarge = (version: number): Draft<'revocations.v1'> => {
  const draft = revocation(version)
  const data: EventData<'revocations.v1', 'revocation.declared'> = { ...draft.data, reason: 'x'.repeat(70_000) }
  return { ...draft, data }
}

describe('its chain (V15)', () => {
  it('is dense over topics and calls, and goes on over a start: the first event names the last before it', async () => {
    await using installation = await Installation.open()
    const { projection } = await installation.reader(['revocations.v1'])
    const first = installation.producer(projection)
    expect(first.end).toEqual({ sequence: 0, hash: 'none' })
    await first.publish('registry.v1', [keyDraft('issuer'), keyDraft('approval')])
    await first.publish('heads.v1', [head(first)])
    await Promise.all([1, 2, 3].map((n) => first.publish('revocations.v1', [revocation(n)])))
    await first.publish('registry.v1', [keyDraft('evidence')])
    const links = chainOf(await leaves(installation), first.source)
    expectWhole(links, 'none')
    expect(first.end).toEqual({ sequence: 6, hash: links[5]?.hash })

    await installation.stop()
    await installation.start()
    const { projection: again } = await installation.reader(['revocations.v1'])
    const second = installation.producer(again)
    const predecessor = `${first.source}#0000000000000006:${links[5]?.hash}`
    expect(second.end).toEqual({ sequence: 0, hash: predecessor })
    await second.publish('revocations.v1', [revocation(4), revocation(5)])
    expectWhole(chainOf(await leaves(installation), second.source), predecessor)
  })

  it('names the last one before it however long ago that was, and takes nothing else from then', async () => {
    await using installation = await Installation.open()
    const { projection } = await installation.reader(['approvals.v1'])
    await installation.producer(projection).publish('registry.v1', [keyDraft('issuer'), keyDraft('approval')])
    const said = (n: number): Draft<'approvals.v1'> => {
      const { data } = anEvent('approvals.v1', 'request.cancelled', { data: { request_id: idOf('req', n) } })
      return { type: 'request.cancelled', subject: idOf('req', n), version: 2, data: data as never }
    }
    const first = installation.producer(projection, 'approval')
    for (const n of [1, 2, 3]) await first.publish('approvals.v1', [said(n)])
    const { sequence, hash } = first.end
    expect(projection.ledger.requests.requests.size).toBe(3)

    installation.time.pass(20 * 3_600_000)
    await installation.stop()
    await installation.start()
    const { projection: again, refusals } = await installation.reader(['approvals.v1'])
    const predecessor = `${first.source}#${formatSequence(sequence)}:${hash}`
    expect(installation.producer(again, 'approval').end).toEqual({ sequence: 0, hash: predecessor })
    expect(again.ledger.requests.requests.size).toBe(0)
    expect(refusals).toEqual([])
  })

  it('has no number for what is too large, nor for anything that was to be published with it', async () => {
    await using installation = await Installation.open()
    const { projection } = await installation.reader(['revocations.v1'])
    const producer = installation.producer(projection)
    await producer.publish('registry.v1', [keyDraft('issuer')])
    const before = producer.end
    const refused = producer.publish('revocations.v1', [revocation(1), tooLarge(2)])
    await expect(refused).rejects.toMatchObject({ code: 'event_too_large' })
    expect(producer.end).toEqual(before)
    expect(await producer.publishOne('revocations.v1', revocation(1))).toMatchObject({ verdict: 'counts' })
    expectWhole(chainOf(await leaves(installation), producer.source), 'none')
  })

  it.each([0, 1, 2].flatMap((n) => (['before', 'after'] as const).map((where): [Break, number] => [where, n])))(
    'stays whole, each event once, when the bus breaks %s publish %i (V2)',
    async (where, broken) => {
      let tries = 0
      const plan = ({ method, topic }: BusCall): Break | undefined =>
        method === 'publish' && topic === 'revocations.v1' && tries++ === broken ? where : undefined
      await using installation = await Installation.open((bus) => faultyBus(bus, plan))
      const { projection } = await installation.reader(['revocations.v1'])
      const producer = installation.producer(projection)
      await producer.publish('registry.v1', [keyDraft('issuer')])
      for (const n of [1, 2, 3])
        expect(await producer.publishOne('revocations.v1', revocation(n))).toMatchObject({ verdict: 'counts' })
      expect(projection.ledger.revocations.sequence).toBe(3)
      const all = await leaves(installation)
      expect(all).toHaveLength(where === 'after' ? 5 : 4)
      const links = chainOf(all, producer.source)
      expect(links).toHaveLength(4)
      expectWhole(links, 'none')
    },
  )
})

describe('what it answers', () => {
  it('of two producers that take one version, one counts, and both know which (V10)', async () => {
    await using installation = await Installation.open()
    const { projection } = await installation.reader(['revocations.v1'])
    const producers = [installation.producer(projection), installation.producer(projection)]
    await producers[0]?.publish('registry.v1', [keyDraft('issuer')])
    const told = await Promise.all(
      producers.map((one, n) => one.publish('revocations.v1', [revocation(1, `grt_${n}`)])),
    )
    expect(told.flat().map(({ verdict }) => verdict)).toEqual(['counts', 'void'])
    expect(projection.ledger.revocations.find('grant', 'grt_0')).toBeDefined()
    expect(projection.ledger.revocations.find('grant', 'grt_1')).toBeUndefined()
    const late = producers[1]?.publishOne('revocations.v1', revocation(1, 'grt_2'))
    await expect(late).rejects.toMatchObject({ code: 'state_contended' })
  })

  it("never takes another event's verdict for its own, though it said both under one id", async () => {
    await using installation = await Installation.open()
    const { projection } = await installation.reader(['revocations.v1'])
    const producer = installation.producer(projection)
    await producer.publish('registry.v1', [keyDraft('issuer')])
    const id = idOf('evt', 'twice')
    const both = [
      producer.publish('revocations.v1', [{ ...revocation(1), id }]),
      producer.publish('revocations.v1', [{ ...revocation(2), id }]),
    ]
    const told = (await Promise.all(both)).flat()
    expect(told.map(({ verdict }) => verdict)).toEqual(['counts', 'void'])
    expect(projection.ledger.revocations.sequence).toBe(1)
  })

  it('durable, but not read back in time: whether it counts is unknown, and the producer does not say that it does', async () => {
    await using installation = await Installation.open()
    const bus = faultyBus(installation.bus, () => undefined)
    const { projection } = await installation.reader(['revocations.v1'], { bus })
    await installation.producer(projection).publish('registry.v1', [keyDraft('issuer')])
    const producer = installation.producer(projection, 'issuer', { durableWithinMs: 1500, readBackWithinMs: 100 })
    bus.hold('revocations.v1')
    const unread = producer.publish('revocations.v1', [revocation(1)])
    await expect(unread).rejects.toMatchObject({ code: 'deadline_exceeded' })
    expect(await standing(installation.bus, 'revocations.v1', 1)).toHaveLength(1)
    bus.release('revocations.v1')
  })
})

describe('while the bus is away (decision 49)', () => {
  /** `where`: how each publish fails, until it returns undefined. */
  async function scene(where: () => Break | ErrorCode | undefined, options: Partial<ProducerOptions> = {}) {
    const installation = await Installation.open((bus) => {
      const broken = faultyBus(bus, ({ method }) => {
        const how = method === 'publish' ? where() : undefined
        return how === 'before' || how === 'after' ? how : undefined
      })
      const publish: Bus['publish'] = async (topic, events) => {
        const how = where()
        if (how !== undefined && how !== 'before' && how !== 'after') throw new ServiceError(how)
        return broken.publish(topic, events)
      }
      return { ...broken, publish }
    })
    const { projection } = await installation.reader(['revocations.v1'])
    const fatal: unknown[] = []
    const producer = installation.producer(projection, 'issuer', {
      ...options,
      onFatal: (error) => fatal.push(error),
    })
    return { installation, projection, producer, fatal }
  }
  const settled = ({ waiting }: Producer) => waiting === undefined

  const breaks = ['before', 'after', 'bus_unavailable'] as const
  const lengths = [31_000, 300_000, 3_600_000]
  it.each(lengths.flatMap((ms) => breaks.map((how) => [ms, how] as const)))(
    'for %i ms (%s): no process ends, nothing further is numbered, and the chain goes on whole (V15)',
    async (ms, how) => {
      let broken: (typeof breaks)[number] | undefined
      const { installation, projection, producer, fatal } = await scene(() => broken, {
        durableWithinMs: 40,
        readBackWithinMs: 20,
      })
      await using _ = installation
      // On a busy machine a caller of this producer may time out.
      await producer.publish('registry.v1', [keyDraft('issuer')]).catch(() => undefined)
      await expect.poll(() => settled(producer), { timeout: 60_000 }).toBe(true)
      broken = how
      const unknown = producer.publish('revocations.v1', [revocation(1), revocation(2)])
      await expect(unknown).rejects.toMatchObject({ code: 'outcome_unknown' })
      const { end } = producer
      expect(producer.waiting).toMatchObject({ events: 2 })
      installation.time.pass(ms)
      const refused = producer.publish('revocations.v1', [revocation(3)])
      await expect(refused).rejects.toMatchObject({ code: 'bus_unavailable' })
      expect(producer.end).toEqual(end)

      broken = undefined
      await expect.poll(() => settled(producer), { timeout: 60_000 }).toBe(true)
      // The outcome is now settled: the unknown event is on the bus and was read back.
      expect(projection.ledger.revocations.sequence).toBe(2)
      // On a busy machine the read-back may take longer than a caller in this test waits.
      await producer.publish('revocations.v1', [revocation(3)]).catch(() => undefined)
      await expect.poll(() => projection.ledger.revocations.sequence, { timeout: 60_000 }).toBe(3)
      const links = chainOf(await leaves(installation), producer.source)
      expectWhole(links, 'none')
      expect(links).toHaveLength(4)
      expect(fatal).toEqual([])
    },
  )

  it('takes further events in the first seconds, which may be a leader that moves', async () => {
    let broken: 'before' | undefined = 'before'
    const { installation, producer } = await scene(() => broken, { durableWithinMs: 40, readBackWithinMs: 20 })
    await using _ = installation
    const unknown = { code: 'outcome_unknown' }
    await expect(producer.publish('registry.v1', [keyDraft('issuer')])).rejects.toMatchObject(unknown)
    installation.time.pass(9000)
    await expect(producer.publish('registry.v1', [keyDraft('approval')])).rejects.toMatchObject(unknown)
    broken = undefined
    await expect.poll(() => settled(producer), { timeout: 60_000 }).toBe(true)
    expect(chainOf(await leaves(installation), producer.source)).toHaveLength(2)
  })

  it('stops the process when the bus will never take a numbered event, since its gap could not be explained (V15)', async () => {
    const { installation, producer, fatal } = await scene(() => 'event_too_large')
    await using _ = installation
    const refused = producer.publish('registry.v1', [keyDraft('issuer')])
    await expect(refused).rejects.toMatchObject({ code: 'event_too_large' })
    expect(fatal).toMatchObject([{ code: 'event_too_large' }])
  })

  it('a process that stops does not wait for the bus, and says of what it had in hand that it is unknown', async () => {
    const { installation, producer, fatal } = await scene(() => 'before')
    await using _ = installation
    const unknown = producer.publish('registry.v1', [keyDraft('issuer')])
    producer[Symbol.dispose]()
    await expect(unknown).rejects.toMatchObject({ code: 'outcome_unknown' })
    expect(fatal).toEqual([])
  })

  it('publishes nothing after the last head, which names all that was on its way (V15)', async () => {
    let hold: Promise<unknown> = Promise.resolve()
    const heads: EventData<'heads.v1', 'head.published'>[] = []
    const installation = await Installation.open((bus) => {
      const whole = faultyBus(bus, () => undefined)
      const publish: Bus['publish'] = async (topic, events) => {
        if (topic !== 'heads.v1') await hold
        else for (const { bytes } of events) heads.push(JSON.parse(Buffer.from(bytes).toString()).data)
        return whole.publish(topic, events)
      }
      return { ...whole, publish }
    })
    await using _ = installation
    const { projection } = await installation.reader(['revocations.v1'])
    const producer = installation.producer(projection)
    await producer.publish('registry.v1', [keyDraft('issuer')])
    const publisher = publishHeads({
      ...{ producer, projection, service: 'issuer', writes: ['registry.v1', 'revocations.v1'], active: () => true },
      ...{ monotonic: installation.time.monotonic, onError: () => undefined },
    })
    const slow = Promise.withResolvers<void>()
    hold = slow.promise
    const pending = producer.publishOne('revocations.v1', revocation(1))
    const stopped = publisher[Symbol.asyncDispose]()
    await pause(50)
    expect(heads.filter(({ stopping }) => stopping)).toEqual([])
    slow.resolve()
    await Promise.all([pending, stopped])
    expect(heads.at(-1)).toMatchObject({ stopping: true, sequence: 2, hash: producer.end.hash })
    const late = producer.publish('revocations.v1', [revocation(2)])
    await expect(late).rejects.toMatchObject({ code: 'service_unready' })
    expect(producer.end.sequence).toBe(2)
  })

  it('a stop waits for a bus that is away, but not for long', async () => {
    const { installation, producer } = await scene(() => 'before')
    await using _ = installation
    producer.publish('registry.v1', [keyDraft('issuer')]).catch(() => undefined)
    await producer.finish(20)
    await expect(producer.publish('registry.v1', [keyDraft('approval')])).rejects.toMatchObject({
      code: 'service_unready',
    })
    producer[Symbol.dispose]()
  })

  it('a caller waits for as long as the bus takes to know, and no longer (V15)', async () => {
    let tries = 0
    await using installation = await Installation.open((bus) => {
      const broken = faultyBus(bus, ({ method }) => {
        if (method !== 'publish') return undefined
        tries++
        return 'before'
      })
      return Object.assign(broken, { durableWithinMs: 40 })
    })
    const { projection } = await installation.reader(['revocations.v1'])
    const producer = installation.producer(projection)
    const unknown = producer.publish('registry.v1', [keyDraft('issuer')])
    await expect(unknown).rejects.toMatchObject({ code: 'outcome_unknown' })
    expect(tries).toBeLessThan(10) // in 30 s it would be 35
    producer[Symbol.dispose]()
  })

  it('heads do not gather: the newest does not wait for older ones that are no longer needed (V8)', async () => {
    let tries = 0
    const away = Promise.withResolvers<never>()
    await using installation = await Installation.open()
    const { projection } = await installation.reader(['revocations.v1'])
    const bus: Bus = {
      ...installation.bus,
      publish: async (topic, events) => {
        if (topic !== 'heads.v1') return installation.bus.publish(topic, events)
        tries++
        return away.promise
      },
    }
    const producer = installation.producer(projection, 'issuer', { bus, durableWithinMs: 5 })
    for (let n = 0; n < 100; n++) {
      const code = n < 4 ? 'outcome_unknown' : 'bus_unavailable'
      await expect(producer.publish('heads.v1', [head(producer)])).rejects.toMatchObject({ code })
    }
    expect(tries).toBe(4)
  })

  it('does not stop the process when the event was a head: it reports the error, and heads go on once the bus is back (V8)', async () => {
    let down = false
    const { installation, projection, producer, fatal } = await scene(() => (down ? 'before' : undefined))
    await using _ = installation
    await producer.publish('registry.v1', [keyDraft('issuer')])
    down = true
    const errors: unknown[] = []
    const heads = publishHeads({
      producer,
      projection,
      service: 'issuer',
      writes: ['registry.v1', 'revocations.v1'],
      active: () => true,
      monotonic: installation.time.monotonic,
      onError: (error) => errors.push(error),
    })
    await heads.now()
    expect(errors.length).toBeGreaterThanOrEqual(1)
    expect(projection.heads.active('issuer')).toBeUndefined()
    down = false
    for (; !projection.fresh(); await pause(5)) await heads.now() // on a busy machine a head may be too old once it is durable
    expect(fatal).toEqual([])
    expect(projection.heads.active('issuer')?.head).toMatchObject({
      producer: producer.source,
      sequence: 1,
      hash: producer.end.hash,
      counted: { 'registry.v1': { 0: { offset: 0 } }, 'revocations.v1': {} },
      read: { 'registry.v1': { 0: 0 } },
      stopping: false,
    })
    await heads[Symbol.asyncDispose]()
    // At a stop no caller waits longer than a second for the last head. On a busy machine it may arrive later.
    const stopped = () =>
      projection.heads.all().find((each) => each.producer === producer.source)?.stopping || undefined
    expect(await projection.until(stopped, 60_000)).toBe(true)
    expect(projection.heads.active('issuer')?.head.stopping).toBe(false)
  })

  it('tells how long heads take to come back, and for how long none has come', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }) // there are no intervals except those of this test
    onTestFinished(() => void vi.useRealTimers())
    let takesMs = 0
    await using installation = await Installation.open((bus) => {
      const whole = faultyBus(bus, () => undefined)
      const publish: Bus['publish'] = (topic, events) => {
        if (topic === 'heads.v1') installation.time.pass(takesMs)
        return whole.publish(topic, events)
      }
      return { ...whole, publish }
    })
    const { projection } = await installation.reader(['revocations.v1'])
    const producer = installation.producer(projection)
    await producer.publish('registry.v1', [keyDraft('issuer')])
    await using heads = publishHeads({
      ...{ producer, projection, service: 'issuer', writes: [], active: () => true },
      ...{ monotonic: installation.time.monotonic, onError: () => undefined },
    })
    await heads.now()
    expect(heads.latencyMs()).toBe(0)
    takesMs = 300
    await heads.now()
    expect(heads.latencyMs()).toBe(300)
    // The next head is due half a second after that one began.
    installation.time.pass(4000)
    expect(heads.latencyMs()).toBe(3800)
  })
})
