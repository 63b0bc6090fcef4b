import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { outcomeHash, signOutcome } from '@bailiwick/credentials'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { EnforcementPoint } from './enforcement-point.ts'
import { fileOutcomeStore, memoryOutcomeStore, type OutcomeState, type OutcomeStore } from './outcome-store.ts'
import { OutcomeReporter, type OutcomeReporterOptions } from './outcomes.ts'
import { aCall, anOutcome, aPoint, FakePdp, numberOf, outcomeKey } from './pdp.fixture.ts'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'agentpep-outcomes-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const act = (point: EnforcementPoint) => point.guard(aCall(), async () => undefined)

const { decision_id, call_id, action_digest, status } = anOutcome
const said = { decision_id, call_id, action_digest, status }
const reporterTo = (pdp: object, more: Partial<OutcomeReporterOptions> = {}) =>
  OutcomeReporter.open({
    ...{ id: 'invoices-api', instance: `${'I'.repeat(21)}A`, installation: anOutcome.installation, key: outcomeKey },
    ...{ pdp: pdp as never, store: memoryOutcomeStore(), now: () => 0, maxPending: 1000, maxPauseMs: 20 },
    onProblem: (problem) => expect.unreachable(problem.message),
    ...more,
  })

describe('outcomes', () => {
  it('are all delivered, each once, while a PDP takes some and wants others again (V15)', async () => {
    await using pdp = await FakePdp.start()
    let attempts = 0
    pdp.outcome = () => ({ status: ++attempts % 3 === 0 ? 204 : 503 })
    await using point = await aPoint(pdp)
    for (let n = 0; n < 6; n++) await act(point)
    await point.delivered()
    expect(pdp.outcomes.map((o) => o.sequence).toSorted()).toEqual([1, 2, 3, 4, 5, 6])
  })

  it('go in lists, in their order, with several requests in flight, and each once', async () => {
    const lists: number[][] = []
    let together = 0
    const asking = new Set<() => void>()
    const pdp = {
      async call(_method: string, _path: string, body: { outcome?: string; outcomes?: string[] }) {
        const outcomes = body.outcomes ?? [body.outcome ?? '']
        lists.push(outcomes.map(numberOf))
        const answered = Promise.withResolvers<void>()
        asking.add(answered.resolve)
        together = Math.max(together, asking.size)
        await answered.promise
        return { status: body.outcomes ? 200 : 204, body: { results: outcomes.map(() => ({ status: 204 })) } }
      },
    }
    const reporter = await reporterTo(pdp)
    for (let n = 0; n < 700; n++) reporter.report(said)
    const isDelivered = reporter.delivered().then(() => true)
    for (let done = false; !done; ) {
      await expect.poll(() => asking.size === 4 || lists.flat().length === 700).toBe(true)
      // The newest first: answers come in any order.
      for (const answer of [...asking].reverse()) answer()
      asking.clear()
      done = await Promise.race([isDelivered, setTimeout(10, false)])
    }
    expect(together).toBe(4)
    expect(lists.map(({ length }) => length)).toEqual([1, 128, 128, 128, 128, 128, 59])
    expect(lists.flat()).toEqual(Array.from({ length: 700 }, (_, n) => n + 1))
    await reporter[Symbol.asyncDispose]()
  })

  it('state up to which number all of their instance were answered: a gap above it may still wait (V15)', async () => {
    await using pdp = await FakePdp.start()
    let takes = false
    pdp.outcome = ({ sequence }) => ({ status: sequence === 2 && !takes ? 404 : 204 })
    await using point = await aPoint(pdp)
    const isDelivered = (n: number) => expect.poll(() => pdp.outcomes.some((o) => o.sequence === n)).toBe(true)
    for (let n = 1; n <= 4; n++) {
      await act(point)
      if (n !== 2) await isDelivered(n)
    }
    takes = true
    await point.delivered()
    await act(point)
    await point.delivered()
    const said = new Map(pdp.outcomes.map((o) => [o.sequence, o.answered]))
    expect([1, 2, 3, 4, 5].map((n) => said.get(n))).toEqual([0, expect.any(Number), 1, 1, 4])
  })

  it('that the PDP never takes let no further call through, once so many numbers lie above them (V18)', async () => {
    await using pdp = await FakePdp.start()
    pdp.outcome = ({ sequence }) => ({ status: sequence === 1 ? 404 : 204 })
    await using point = await aPoint(pdp, { maxPendingOutcomes: 3 })
    for (let n = 1; n <= 3; n++) {
      expect(await act(point)).toMatchObject({ allowed: true })
      if (n > 1) await expect.poll(() => pdp.outcomes.some((o) => o.sequence === n)).toBe(true)
    }
    expect(await act(point)).toMatchObject({ allowed: false, reason: 'queue_full' })
    pdp.outcome = () => ({ status: 204 })
    await point.delivered()
    expect(await act(point)).toMatchObject({ allowed: true })
  })

  it.each([
    ['refuses every list', { status: 400, body: { code: 'request_malformed' } }, 'alone'],
    ['answers lists with too few results', { status: 200, body: { results: [{ status: 204 }] } }, 'again'],
    ['answers lists with something else', { status: 200, body: {} }, 'again'],
    ['has too much', { status: 429 }, 'again'],
  ])('in a list are none answered by a PDP that %s', async (_, whole, then) => {
    await using pdp = await FakePdp.start()
    const first = Promise.withResolvers<void>()
    let lists = 0
    pdp.list = () => (++lists < 3 || then === 'alone' ? whole : undefined)
    pdp.single = () => first.promise
    await using point = await aPoint(pdp)
    for (let n = 0; n < 3; n++) await act(point)
    first.resolve()
    await point.delivered()
    expect(pdp.outcomes.map((o) => o.sequence)).toEqual([1, 2, 3])
    expect(pdp.lists).toEqual(then === 'alone' ? [2] : [2, 2, 2])
  })

  it('that were not delivered are delivered by the next process as they were signed; it counts from 1 itself (V10)', async () => {
    await using pdp = await FakePdp.start()
    const path = join(folder, 'new', 'outcomes.json')
    pdp.outcome = () => ({ status: 503 })
    const before = await aPoint(pdp, { store: fileOutcomeStore(path) })
    await act(before)
    await act(before)
    await before[Symbol.asyncDispose]()
    const kept = await fileOutcomeStore(path).load()
    expect(pdp.outcomes).toHaveLength(0)
    pdp.outcome = () => ({ status: 204 })
    await using point = await aPoint(pdp, { store: fileOutcomeStore(path) })
    await act(point)
    await point.delivered()
    expect(point.instance).not.toBe(before.instance)
    expect(pdp.outcomes.map((o) => [o.instance, o.sequence])).toEqual([
      [before.instance, 1],
      [before.instance, 2],
      [point.instance, 1],
    ])
    expect(pdp.signed.slice(0, 2)).toEqual(kept?.pending)
  }, 10_000)

  it('that a version before instances left are delivered as they were signed', async () => {
    await using pdp = await FakePdp.start()
    const path = join(folder, 'numbered.json')
    const old = { ...anOutcome, sequence: 41 }
    writeFileSync(path, JSON.stringify({ v: 1, sequence: 41, pending: [signOutcome(old, outcomeKey)] }))
    await using point = await aPoint(pdp, { store: fileOutcomeStore(path) })
    await act(point)
    await point.delivered()
    expect(pdp.outcomes.map((o) => [o.instance, o.sequence])).toEqual([
      [undefined, 41],
      [point.instance, 1],
    ])
  })

  it('name the one before, of their instance, by what it signed (V10)', async () => {
    await using pdp = await FakePdp.start()
    await using point = await aPoint(pdp)
    for (let n = 0; n < 3; n++) await act(point)
    await point.delivered()
    const [first = '', second = ''] = pdp.signed
    expect(pdp.outcomes.map((o) => o.previous)).toEqual([undefined, outcomeHash(first), outcomeHash(second)])
  })

  it('are durable before anybody sees them, so that no crash loses what was told', async () => {
    await using pdp = await FakePdp.start()
    const store = memoryOutcomeStore()
    const durable: boolean[] = []
    pdp.outcome = (_, jws) => {
      store.load().then((state) => durable.push(state?.pending.includes(jws) ?? false))
      return { status: 204 }
    }
    await using point = await aPoint(pdp, { store })
    for (let n = 0; n < 3; n++) await act(point)
    await point.delivered()
    expect(durable).toEqual([true, true, true])
  })

  it('of a steady load gather before they are saved and sent, and the first of all does not wait', async () => {
    const lists: number[] = []
    const pdp = {
      async call(_method: string, _path: string, body: { outcome?: string; outcomes?: string[] }) {
        lists.push(body.outcomes?.length ?? 1)
        return { status: body.outcomes ? 200 : 204, body: { results: body.outcomes?.map(() => ({ status: 204 })) } }
      },
    }
    let saves = 0
    const store = memoryOutcomeStore()
    const counted = { ...store, save: (state: OutcomeState) => store.save(state).finally(() => saves++) }
    const reporter = await reporterTo(pdp, { store: counted })
    reporter.report(said)
    await setTimeout(5)
    expect(lists).toEqual([1])
    for (let n = 0; n < 16; n++) {
      reporter.report(said)
      await setTimeout(2)
    }
    await reporter.delivered()
    // One list each 50 ms: a busy machine takes longer for the sixteen.
    expect(lists.reduce((sum, each) => sum + each)).toBe(17)
    expect(lists.length).toBeLessThan(10)
    expect(saves).toBeLessThan(20)
    await reporter[Symbol.asyncDispose]()
  })

  it('stay here while the store cannot be written, and go out when it can', async () => {
    await using pdp = await FakePdp.start()
    const real = memoryOutcomeStore()
    let broken = true
    const store: OutcomeStore = {
      load: () => real.load(),
      save: async (state) => {
        if (broken) throw new Error('no space left')
        await real.save(state)
      },
    }
    const problems: string[] = []
    await using point = await aPoint(pdp, { store, onProblem: ({ code }) => problems.push(code) })
    await act(point)
    await expect.poll(() => problems.length).toBeGreaterThan(1)
    expect(pdp.outcomes).toHaveLength(0)
    broken = false
    await point.delivered()
    expect(pdp.outcomes.map((o) => o.sequence)).toEqual([1])
  })

  it('are not written over and over where the store cannot be written while the PDP is away', async () => {
    const turns = async (count: number) => {
      for (let n = 0; n < count; n++) await setImmediate()
    }
    let [saves, broken] = [0, false]
    const save = async () => {
      saves++
      await setImmediate()
      if (broken) throw new Error('no space left')
    }
    const asked = Promise.withResolvers<void>()
    const call = async () => {
      asked.resolve()
      throw new Error('away')
    }
    const store: OutcomeStore = { load: async () => undefined, save }
    const reporter = await reporterTo({ call }, { store, maxPauseMs: 10_000, onProblem: () => undefined })
    reporter.report(said)
    await asked.promise
    await turns(1)
    ;[saves, broken] = [0, true]
    reporter.report(said)
    await setTimeout(100)
    await turns(100)
    // Before each save, and after it, comes a pause of 50 ms or more.
    expect(saves).toBeGreaterThan(0)
    expect(saves).toBeLessThan(20)
    broken = false
    await reporter[Symbol.asyncDispose]()
  })

  it('that the PDP refuses for good do not hold up the others, and are reported as a problem', async () => {
    await using pdp = await FakePdp.start()
    pdp.outcome = ({ sequence }) =>
      sequence === 1
        ? { status: 409, body: { code: 'outcome_mismatch', detail: 'the action has a salt' } }
        : { status: 204 }
    const problems: string[] = []
    await using point = await aPoint(pdp, { onProblem: ({ message }) => problems.push(message) })
    await act(point)
    await act(point)
    await point.delivered()
    expect(pdp.outcomes.map((o) => o.sequence)).toEqual([2])
    expect(problems).toEqual(['outcome_mismatch: an outcome was refused for good: the action has a salt'])
  })

  it('of a decision that the PDP does not know are tried for a minute and then given up', async () => {
    await using pdp = await FakePdp.start()
    let now = pdp.now()
    pdp.now = () => now
    let tries = 0
    pdp.outcome = ({ sequence }) => {
      if (sequence > 1) return { status: 204 }
      now += 20_000
      tries++
      return { status: 404, body: { code: 'decision_unknown' } }
    }
    const problems: string[] = []
    await using point = await aPoint(pdp, { now: () => now, onProblem: ({ code }) => problems.push(code) })
    await act(point)
    await point.delivered()
    expect([tries, problems]).toEqual([4, ['decision_unknown']])
  })

  it.each([[401], [403], [408], [429], [500], [502]])('are kept when the PDP answers %i', async (status) => {
    await using pdp = await FakePdp.start()
    let first = true
    pdp.outcome = () => {
      const reply = { status: first ? status : 204 }
      first = false
      return reply
    }
    await using point = await aPoint(pdp)
    await act(point)
    await point.delivered()
    expect(pdp.outcomes).toHaveLength(1)
  })
})

describe('the outcome file', () => {
  it('keeps what was saved last', async () => {
    const store = fileOutcomeStore(join(folder, 'state.json'))
    expect(await store.load()).toBeUndefined()
    await store.save({ pending: ['a.b.c'] })
    await store.save({ pending: ['d.e.f'] })
    expect(await store.load()).toEqual({ pending: ['d.e.f'] })
  })

  it.each([
    ['garbage', 'x'],
    ['another form', '{"sequence":1}'],
    ['an unknown member', '{"v":1,"sequence":1,"pending":[],"x":1}'],
  ])('stops the start when it holds %s, since outcomes would be lost', async (_, text) => {
    await using pdp = await FakePdp.start()
    const path = join(folder, 'broken.json')
    writeFileSync(path, text)
    await expect(aPoint(pdp, { store: fileOutcomeStore(path) })).rejects.toMatchObject({ code: 'config_invalid' })
  })
})
