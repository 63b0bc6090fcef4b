import type { Head } from '@bailiwick/contracts'
import { generateKey, type SigningKey } from '@bailiwick/credentials'
import { anEvent, idOf } from '@bailiwick/projection/events-fixture'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Installation, keyDraft, keys, signed, trust } from './installation.fixture.ts'
import { openSuccessor } from './participant.ts'
import type { Projection } from './projection.ts'
import { type Standing, Succession } from './succession.ts'

const inRealTime = setTimeout
const turn = () => new Promise((resolve) => inRealTime(resolve, 5))

// On a busy machine, no deadline passes and no head is due until the test says so.
beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] }))
afterEach(() => void vi.useRealTimers())

const stolen = generateKey('issuer-event')

/** Waits for work that the bus and the instance do, not for time. */
async function soon(holds: () => boolean): Promise<void> {
  for (let turns = 0; !holds() && turns < 4000; turns++) await turn()
  expect(holds()).toBe(true)
}

/** A topic of heads on which the test decides each head and its time. */
class Scene implements AsyncDisposable {
  readonly installation: Installation
  readonly projection: Projection
  readonly told: Standing[] = []
  #stack = new AsyncDisposableStack()
  #ids = 0
  /** How often the instance under test tried to claim the place. */
  tries = 0
  claims = 0
  begun = 0
  onHold: () => Promise<unknown> = async () => undefined

  private constructor(installation: Installation, projection: Projection) {
    this.installation = installation
    this.projection = projection
    this.#stack.use(installation)
  }

  static async open(): Promise<Scene> {
    const installation = await Installation.open()
    const { projection } = await installation.reader()
    for (const key of [stolen, keys.issuer])
      await installation.producer(projection, 'issuer', { key }).publish('registry.v1', [keyDraft('issuer', key)])
    return new Scene(installation, projection)
  }

  head(producer: string, more: Partial<Head> = {}, { key = keys.issuer as SigningKey<'issuer-event'>, skew = 0 } = {}) {
    const data = { service: 'issuer' as const, producer, active: true, stopping: false, counted: {}, read: {}, ...more }
    const time = new Date(this.installation.time.now() + skew).toISOString()
    const id = idOf('evt', ++this.#ids)
    return signed(anEvent('heads.v1', 'head.published', { about: producer, source: producer, id, time, data }), key)
  }

  /** The bus takes it now, and it is read at once. */
  async put(head: ReturnType<Scene['head']>): Promise<void> {
    const [position] = await this.installation.bus.publish('heads.v1', [head])
    if (position) await this.projection.waitFor(position, 20_000)
  }

  /** `/issuer/two`, whose heads only the test publishes. */
  async standby(): Promise<Succession> {
    const { installation, projection } = this
    const succession = new Succession(
      {
        service: 'issuer',
        producer: '/issuer/two',
        projection,
        heads: {
          now: async () => void this.claims++,
          provedAt: () => installation.time.monotonic(),
          latencyMs: () => 0,
          [Symbol.asyncDispose]: async () => undefined,
        },
        writes: [],
        time: installation.time,
        hold: async () => {
          this.tries++
          await this.onHold()
          return { [Symbol.asyncDispose]: async () => undefined }
        },
        onStanding: (standing) => void this.told.push(standing),
        onFatal: (error) => {
          throw error
        },
      },
      async () => {
        this.begun++
        return undefined
      },
    )
    this.#stack.use(succession)
    await succession.open()
    return succession
  }

  /** `/issuer/one` was the active one until now, and `/issuer/two` stands by. */
  static async withTwo(): Promise<{ scene: Scene; two: Succession; last: ReturnType<Scene['head']> }> {
    const scene = await Scene.open()
    const last = scene.head('/issuer/one')
    await scene.put(last)
    const two = await scene.standby()
    await scene.put(scene.head('/issuer/two', { active: false }))
    return { scene, two, last }
  }

  /** Lets half seconds pass. After each, the bus takes a head of the standby. */
  async pass(halves: number, after: () => Promise<void> = async () => undefined): Promise<void> {
    for (let n = 0; n < halves; n++) {
      this.installation.time.pass(500)
      await after()
      await this.put(this.head('/issuer/two', { active: false }))
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // First, so that a claim that is never judged ends at once.
    await this.projection[Symbol.asyncDispose]()
    await this.#stack.disposeAsync()
  }
}

describe('the silence of the active one', () => {
  it('lets the standby claim after 3 s, and not before', async () => {
    const { scene } = await Scene.withTwo()
    await using _ = scene
    await scene.pass(5)
    expect(scene.tries).toBe(0)
    await scene.pass(1)
    expect(scene.tries).toBe(1)
  })

  it('begins anew with each head that keeps its place', async () => {
    const { scene } = await Scene.withTwo()
    await using _ = scene
    await scene.pass(5)
    await scene.put(scene.head('/issuer/one'))
    await scene.pass(5)
    expect(scene.tries).toBe(0)
    await scene.pass(1)
    expect(scene.tries).toBe(1)
  })

  it.each<[string, (scene: Scene, last: ReturnType<Scene['head']>) => ReturnType<Scene['head']>]>([
    ['a repetition of its last head', (_scene, last) => last],
    ['a head by another key of its service', (scene) => scene.head('/issuer/one', {}, { key: stolen })],
    ['a head more than 3 s off the time of the bus', (scene) => scene.head('/issuer/one', {}, { skew: 3001 })],
  ])('goes on through a head that does not keep the place: %s (V8)', async (_what, said) => {
    const { scene, last } = await Scene.withTwo()
    await using _ = scene
    await scene.pass(6, () => scene.put(said(scene, last)))
    expect(scene.projection.heads.leader('issuer')?.producer).toBe('/issuer/one')
    expect(scene.tries).toBe(1)
  })

  it('must last 3 s by the clock of the standby too, if the clock of the bus leaps (V8)', async () => {
    const { scene } = await Scene.withTwo()
    await using _ = scene
    const { time } = scene.installation
    await scene.pass(3, async () => {
      time.wall += 900
    })
    expect([time.wall - (scene.projection.heads.leader('issuer')?.takenAt ?? 0), scene.tries]).toEqual([4200, 0])
    time.ticks += 1499
    vi.advanceTimersByTime(100)
    expect(scene.tries).toBe(0)
    time.ticks += 1
    vi.advanceTimersByTime(100)
    expect(scene.tries).toBe(1)
  })

  it('is known at a start: the instance claims at once', async () => {
    await using scene = await Scene.open()
    await scene.put(scene.head('/issuer/one'))
    scene.installation.time.pass(3000)
    const opening = scene.standby()
    await soon(() => scene.claims === 1)
    await scene.put(scene.head('/issuer/two'))
    expect((await opening).standby()).toBeUndefined()
    expect(scene.told).toEqual([{ active: true, succeeds: '/issuer/one' }])
  })
})

describe('a claim that is read back late', () => {
  const claiming = async () => {
    const all = await Scene.withTwo()
    await all.scene.pass(6)
    await soon(() => all.scene.claims === 1)
    await turn()
    expect(all.two.speaksAsActive).toBe(true)
    return all
  }

  it.each<[string, (scene: Scene, last: ReturnType<Scene['head']>) => ReturnType<Scene['head']>]>([
    ['a gap before a head of its own', (scene) => scene.head('/issuer/two', { active: false })],
    ['a repetition of its predecessor’s last head', (_scene, last) => last],
    ['its predecessor’s stop', (scene) => scene.head('/issuer/one', { stopping: true })],
  ])('is not given up because of %s', async (_what, said) => {
    const { scene, two, last } = await claiming()
    await using _ = scene
    scene.installation.time.pass(2000)
    await scene.put(said(scene, last))
    await turn()
    expect(two.speaksAsActive).toBe(true)
    await scene.put(scene.head('/issuer/two'))
    await soon(() => two.standby() === undefined)
    expect(scene.begun).toBe(1)
    expect(scene.told.at(-1)).toEqual({ active: true, succeeds: '/issuer/one' })
  })

  it.each<[string, string, string]>([
    ['its predecessor is heard again', '/issuer/one', '/issuer/one is the active one'],
    ['another instance was first', '/issuer/three', '/issuer/three is the active one'],
  ])('is given up as soon as %s', async (_what, producer, reason) => {
    const { scene, two } = await claiming()
    await using _ = scene
    await scene.put(scene.head(producer))
    await soon(() => two.standby() === reason)
    expect(two.speaksAsActive).toBe(false)
    expect(scene.begun).toBe(0)
  })

  it('is given up after 3 s; if it counts later, the next one is judged by itself', async () => {
    const { scene, two } = await claiming()
    await using _ = scene
    vi.advanceTimersByTime(3000)
    await soon(() => !two.speaksAsActive)
    scene.installation.time.pass(500)
    await scene.put(scene.head('/issuer/two'))
    await soon(() => scene.claims === 2)
    await turn()
    expect([two.speaksAsActive, two.mayPublish]).toEqual([true, false])
    scene.installation.time.pass(100)
    await scene.put(scene.head('/issuer/two'))
    await soon(() => two.standby() === undefined)
    expect(scene.begun).toBe(1)
  })

  it('succeeds no instance if the predecessor stopped in order just before it', async () => {
    const { scene, two } = await Scene.withTwo()
    await using _ = scene
    scene.onHold = () => scene.put(scene.head('/issuer/one', { stopping: true }))
    await scene.pass(6)
    await soon(() => scene.claims === 1)
    await turn()
    expect(two.speaksAsActive).toBe(true)
    await scene.put(scene.head('/issuer/two'))
    await soon(() => two.standby() === undefined)
    expect(scene.told.at(-1)).toEqual({ active: true, succeeds: undefined })
  })
})

it('the active one acts while its heads come back late, and stops 2.5 s after the last one before its clock was set ahead (V8)', async () => {
  let [lateMs, aheadMs] = [0, 0]
  await using installation: Installation = await Installation.open((bus) => ({
    ...bus,
    publish: (topic, events) => bus.publish(topic, events),
    ends: (topic) => bus.ends(topic),
    follow: (topics, since, handler) =>
      bus.follow(topics, since, async (batch) => {
        if (topics.includes('heads.v1')) installation.time.pass(lateMs)
        await handler(batch)
      }),
    [Symbol.asyncDispose]: () => bus[Symbol.asyncDispose](),
  }))
  const certifying = await installation.reader()
  await installation.producer(certifying.projection).publish('registry.v1', [keyDraft('issuer')])
  await certifying.projection[Symbol.asyncDispose]()
  const fail = (error: unknown) => expect.fail(String(error))
  await using one = await openSuccessor({
    ...{ bus: installation.bus, trust, service: 'issuer', instance: 'one', eventKey: keys.issuer, follows: [] },
    time: { now: () => installation.time.now() + aheadMs, monotonic: installation.time.monotonic },
    newEventId: () => idOf('evt', crypto.randomUUID()),
    ...{ onFatal: fail, onHeadError: fail },
  })
  await one.standBy(async () => undefined)
  let heard = 0
  one.projection.onFact(() => void heard++)
  /** Half a second passes, and the next head is read back. */
  const nextHead = async () => {
    const before = heard
    installation.time.pass(500)
    vi.advanceTimersByTime(500)
    await soon(() => heard > before)
    return one.standby()
  }
  lateMs = 1500
  for (let n = 0; n < 3; n++) expect(await nextHead()).toBeUndefined()
  lateMs = 0
  expect(await nextHead()).toBeUndefined()
  aheadMs = 4000
  for (let n = 0; n < 5; n++) expect(await nextHead()).toBeUndefined()
  expect(await nextHead()).toBe('no head of its own came back from the bus for 2.5 s: it waits for one')
  expect(one.projection.heads.leader('issuer')?.producer).toBe('/issuer/one')
  aheadMs = 0
  expect(await nextHead()).toBeUndefined()
})
