import { ServiceError } from '@bailiwick/errors'
import type { GrantStore } from '@bailiwick/grant-store'
import { seededRandom, testClock } from '@bailiwick/kit'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Proofs, type ProofVerdict, proofLeewayMs, proofMaxAgeMs } from './proofs.ts'

type Clock = ReturnType<typeof testClock>
type Asked = 'epoch' | 'adopt' | 'remember'
/** The fate of a call: it gets through with its answer, it does not arrive, or its answer is lost. */
type Line = 'whole' | 'cut' | 'answer lost'

/** The part of a grant store that remembers proofs, for several instances, as its port describes it. */
class Memory {
  epoch: string | undefined
  seen = new Map<string, number>()
  #made = 0

  lose(): void {
    this.epoch = undefined
    this.seen.clear()
  }

  connect(line: (asked: Asked) => Line, delay: () => Promise<void> = async () => {}): GrantStore {
    let adopted: string | undefined
    const over = async <T>(asked: Asked, work: () => T): Promise<T> => {
      const how = line(asked)
      await delay()
      if (how === 'cut') throw new ServiceError('outcome_unknown')
      const answer = work()
      await delay()
      if (how === 'answer lost') throw new ServiceError('outcome_unknown')
      return answer
    }
    const mine = () => adopted !== undefined && adopted === this.epoch
    const store: Pick<GrantStore, Asked> = {
      epoch: () => over('epoch', () => (mine() ? adopted : undefined)),
      adopt: () =>
        over('adopt', () => {
          this.epoch ??= `epoch ${++this.#made}`
          return this.epoch
        }).then((epoch) => {
          adopted = epoch
          return epoch
        }),
      remember(id, now, expiresAt) {
        const asWho = adopted
        return over('remember', () => memory.#remember(asWho, id, now, expiresAt))
      },
    }
    const memory = this
    return store as GrantStore
  }

  #remember(asWho: string | undefined, id: string, now: number, expiresAt: number): boolean | undefined {
    if (asWho === undefined || asWho !== this.epoch) return undefined
    if ((this.seen.get(id) ?? 0) > now) return false
    this.seen.set(id, expiresAt)
    return true
  }
}

const startedAt = Date.UTC(2100, 0, 1)
/** Longer than the seconds in which an instance that has just adopted the store asks every caller for a nonce. */
const settledMs = proofLeewayMs + 1000

/** The length of the window that a nonce names. */
const windowMs = 5 * 60 * 1000
const opened = (memory: Memory, clock: Clock, line: (asked: Asked) => Line = () => 'whole', seed = 1) =>
  new Proofs(memory.connect(line), clock, seededRandom(seed))

async function instances(count: number, limits: { limit?: number } = {}) {
  const clock = testClock(startedAt)
  const memory = new Memory()
  const lines: Line[] = Array.from({ length: count }, () => 'whole')
  const proofs = lines.map(
    (_, n) =>
      new Proofs(
        memory.connect(() => lines[n] ?? 'whole'),
        clock,
        seededRandom(n + 1),
        limits,
      ),
  )
  for (const one of proofs) await one.adopt()
  clock.advance(settledMs)
  const [a, b] = proofs as [Proofs, Proofs]
  return { clock, memory, lines, a, b }
}

/** An instance whose store does not answer until `gate` opens, and whose wait for it has already timed out. */
async function adoptedLate(clock: Clock, memory: Memory) {
  const gate = Promise.withResolvers<void>()
  const store = memory.connect(
    () => 'whole',
    () => gate.promise,
  )
  const slow = new Proofs(store, clock, seededRandom(9), { adoptWithinMs: 1 })
  await expect(slow.adopt()).rejects.toMatchObject({ code: 'outcome_unknown' })
  return { slow, gate }
}
const seconds = (clock: Clock) => Math.floor(clock.now() / 1000) * 1000

describe('a proof', () => {
  it('is accepted once by all instances together, with the nonce of any of them or none (V10)', async () => {
    const { clock, a, b } = await instances(2)
    const iat = seconds(clock)
    for (const [id, nonce] of Object.entries({ none: undefined, own: a.nonce(), other: b.nonce(), bad: 'x' })) {
      expect(await a.accept(id, iat, nonce)).toBe('accepted')
      expect(await a.accept(id, iat, nonce)).toBe('replayed')
      expect(await b.accept(id, iat, nonce)).toBe('replayed')
    }
  })

  it('is accepted with a nonce of this instance alone while the store is away, and then by no other (V10)', async () => {
    const { clock, lines, a, b } = await instances(2)
    const iat = seconds(clock)
    const before = a.nonce()
    lines[0] = 'cut'
    expect(await a.accept('one', iat, undefined)).toBe('nonce_required')
    expect(await a.accept('two', iat, before)).toBe('nonce_required')
    const alone = a.nonce()
    expect(await a.accept('three', iat, alone)).toBe('accepted')
    expect(await a.accept('three', iat, alone)).toBe('replayed')
    // The store does not know this proof, although the other instance reaches the store.
    expect(await b.accept('three', iat, alone)).toBe('nonce_required')
    lines[0] = 'whole'
    expect(await a.accept('three', iat, alone)).toBe('replayed')
    expect(await b.accept('three', iat, alone)).toBe('nonce_required')
    expect(await a.accept('four', iat, alone)).toBe('accepted')
    expect(await b.accept('five', iat, a.nonce())).toBe('accepted')
  })

  it('is accepted at the second call at the latest, when the store is away from the start', async () => {
    const clock = testClock(startedAt)
    const proofs = new Proofs(
      new Memory().connect(() => 'cut'),
      clock,
      seededRandom(1),
    )
    await expect(proofs.adopt()).rejects.toMatchObject({ code: 'outcome_unknown' })
    for (const id of ['one', 'two', 'three']) {
      expect(await proofs.accept(`${id} without`, seconds(clock), undefined)).toBe('nonce_required')
      expect(await proofs.accept(id, seconds(clock), proofs.nonce())).toBe('accepted')
    }
  })

  it('is asked for once, whichever instance the next call reaches: at the start, and after a loss', async () => {
    const clock = testClock(startedAt)
    const memory = new Memory()
    const open = (seed: number) =>
      new Proofs(
        memory.connect(() => 'whole'),
        clock,
        seededRandom(seed),
      )
    const [a, b] = [open(1), open(2)]
    for (const one of [a, b]) await one.adopt()
    expect(await a.accept('one', seconds(clock), undefined)).toBe('nonce_required')
    expect(await b.accept('two', seconds(clock), a.nonce())).toBe('accepted')
    memory.lose()
    expect(await a.accept('three', seconds(clock), undefined)).toBe('nonce_required')
    expect(await b.accept('four', seconds(clock), a.nonce())).toBe('accepted')
    memory.lose()
    expect(await b.accept('five', seconds(clock), undefined)).toBe('nonce_required')
    expect(await a.accept('six', seconds(clock), b.nonce())).toBe('accepted')
  })

  it('is asked for once after a loss, however long the instances ran, and whichever the next call reaches', async () => {
    const { clock, memory, a, b } = await instances(2)
    for (const [one, other] of [
      [a, b],
      [b, a],
    ] as const) {
      clock.advance(settledMs)
      memory.lose()
      expect(await one.accept(`${memory.epoch} first`, seconds(clock), other.nonce())).toBe('nonce_required')
      const nonce = one.nonce()
      // The other instance learns of the loss from this very call. The nonce is of the new epoch, so the proof is not older than that.
      expect(await other.accept(`proof ${nonce}`, seconds(clock), nonce)).toBe('accepted')
      expect(await one.accept(`proof ${nonce}`, seconds(clock), nonce)).toBe('replayed')
    }
  })

  it('with a nonce of another instance alone is asked for once more when the store is back', async () => {
    const { clock, lines, a, b } = await instances(2)
    lines.fill('cut')
    for (const one of [a, b]) expect(await one.accept('zero', seconds(clock), undefined)).toBe('nonce_required')
    const alone = a.nonce()
    expect(alone).toMatch(/^alone/)
    lines.fill('whole')
    expect(await b.accept('one', seconds(clock), alone)).toBe('nonce_required')
    const nonce = b.nonce()
    expect(nonce).not.toMatch(/^alone/)
    expect(await a.accept('two', seconds(clock), nonce)).toBe('accepted')
  })

  it('made before a loss is refused by the instance that notices, and by every other (V10)', async () => {
    const { clock, memory, a, b } = await instances(2)
    const [iat, nonce] = [seconds(clock), b.nonce()]
    expect(await a.accept('one', iat, undefined)).toBe('accepted')
    expect(await b.accept('two', iat, nonce)).toBe('accepted')
    memory.lose()
    expect(await b.accept('one', iat, undefined)).toBe('nonce_required')
    expect(await a.accept('two', iat, nonce)).toBe('nonce_required')
    expect(await b.accept('three', iat, b.nonce())).toBe('accepted')
    expect(await a.accept('three', iat, b.nonce())).toBe('replayed')
    clock.advance(settledMs)
    expect(await a.accept('four', seconds(clock), undefined)).toBe('accepted')
  })

  it('made before a loss does not count even if another call adopts the store while it is checked (V10)', async () => {
    const { clock, memory, a, b } = await instances(2)
    const iat = seconds(clock)
    expect(await a.accept('old', iat, undefined)).toBe('accepted')
    memory.lose()
    const [adopting, late] = [b.adopt(), b.accept('old', iat, undefined)]
    await adopting
    expect(await late).toBe('nonce_required')
  })

  it('does not count that another instance counted while this one was adopting, in a store that was lost again (V10)', async () => {
    const clock = testClock(startedAt)
    const memory = new Memory()
    const gate = Promise.withResolvers<void>()
    const slow = new Proofs(
      memory.connect(
        () => 'whole',
        () => gate.promise,
      ),
      clock,
      seededRandom(1),
    )
    const other = new Proofs(
      memory.connect(() => 'whole'),
      clock,
      seededRandom(2),
    )
    const adopting = slow.adopt()
    clock.advance(settledMs)
    await other.adopt()
    clock.advance(settledMs)
    expect(await other.accept('one', seconds(clock), undefined)).toBe('accepted')
    memory.lose()
    gate.resolve()
    await adopting
    expect(await slow.accept('one', seconds(clock), undefined)).toBe('nonce_required')
  })

  it('is accepted with the nonce of either instance when the store adopts one of them after its deadline', async () => {
    const { clock, memory, a } = await instances(1)
    const { slow, gate } = await adoptedLate(clock, memory)
    // Until then it cannot join the others, and asks for a nonce of its own.
    expect(slow.nonce()).toMatch(/^alone/)
    gate.resolve()
    await expect.poll(() => slow.nonce()).toBe(a.nonce())
    expect(await slow.accept('one', 0, a.nonce())).toBe('accepted')
    expect(await a.accept('two', 0, slow.nonce())).toBe('accepted')
  })

  it('that another instance counted does not count when the store adopts this one after its deadline, and was lost meanwhile (V10)', async () => {
    const { clock, memory, a } = await instances(1)
    const { slow, gate } = await adoptedLate(clock, memory)
    clock.advance(settledMs)
    expect(await a.accept('one', seconds(clock), undefined)).toBe('accepted')
    memory.lose()
    gate.resolve()
    await expect.poll(() => memory.epoch).toBe('epoch 2')
    expect(await slow.accept('one', seconds(clock), undefined)).toBe('nonce_required')
  })

  it('of an instance whose memory is full of what it accepted alone needs a new nonce (V10)', async () => {
    const { clock, lines, a } = await instances(2, { limit: 3 })
    lines[0] = 'cut'
    await a.accept('zero', seconds(clock), undefined)
    const nonce = a.nonce()
    const ids = ['one', 'two', 'three', 'four']
    const verdicts: ProofVerdict[] = []
    for (const id of ids) verdicts.push(await a.accept(id, seconds(clock), nonce))
    expect(verdicts).toContain('nonce_required')
    for (const id of ids) expect(await a.accept(id, seconds(clock), nonce)).not.toBe('accepted')
    expect(await a.accept('five', seconds(clock), a.nonce())).toBe('accepted')
  })

  it('makes many calls that notice a loss at once adopt once', async () => {
    const { clock, memory, a } = await instances(1)
    memory.lose()
    const ids = Array.from({ length: 50 }, (_, n) => `proof ${n}`)
    await Promise.all(ids.map((id) => a.accept(id, seconds(clock), undefined)))
    expect(memory.epoch).toBe('epoch 2')
    const nonce = a.nonce()
    await a.readopt()
    expect(a.nonce()).toBe(nonce)
  })
})

describe('a nonce', () => {
  const old = 0 // made so long ago that the proof always needs a nonce

  it('of all instances is good in its window and in those beside it, since clocks differ, and in no other', async () => {
    const memory = new Memory()
    const clocks = [-2, -1, 0, 1, 2].map((windows) => testClock(startedAt + windows * windowMs))
    const proofs = clocks.map((clock, n) => opened(memory, clock, undefined, n))
    for (const one of proofs) await one.adopt()
    const here = proofs[2] as Proofs
    const verdicts: ProofVerdict[] = []
    for (const [n, one] of proofs.entries()) verdicts.push(await here.accept(`proof ${n}`, old, one.nonce()))
    expect(verdicts).toEqual(['nonce_required', 'accepted', 'accepted', 'accepted', 'nonce_required'])
  })

  it('of one instance alone says so, and is good in its window and in the next', async () => {
    const { clock, lines, a } = await instances(1)
    expect(a.nonce()).toMatch(/^[\w-]{43}$/)
    lines[0] = 'cut'
    expect(await a.accept('zero', seconds(clock), undefined)).toBe('nonce_required')
    const nonce = a.nonce()
    expect(nonce).toMatch(/^alone\.[\w-]{43}$/)
    expect(await a.accept('one', old, nonce)).toBe('accepted')
    clock.advance(windowMs)
    expect(await a.accept('two', old, nonce)).toBe('accepted')
    expect(a.nonce()).not.toBe(nonce)
    clock.advance(windowMs)
    expect(await a.accept('three', old, nonce)).toBe('nonce_required')
  })

  it('is for all until the store was away, alone while it is, also while it is taken anew, and for all again', async () => {
    const [clock, memory, gate] = [testClock(startedAt), new Memory(), Promise.withResolvers<void>()]
    let line: Line = 'whole'
    let delay = Promise.resolve()
    const store = memory.connect(
      () => line,
      () => delay,
    )
    const proofs = new Proofs(store, clock, seededRandom(1))
    expect(proofs.nonce()).not.toMatch(/^alone/)
    delay = gate.promise
    const adopting = proofs.adopt()
    expect(proofs.nonce()).toMatch(/^alone/)
    gate.resolve()
    await adopting
    const shared = proofs.nonce()
    expect(shared).not.toMatch(/^alone/)
    line = 'cut'
    expect(await proofs.accept('one', old, undefined)).toBe('nonce_required')
    expect(proofs.nonce()).toMatch(/^alone/)
    line = 'whole'
    expect(await proofs.accept('two', old, shared)).toBe('accepted')
    expect(proofs.nonce()).toBe(shared)
  })

  it('is asked for of a proof of the last millisecond that may have been lost, and of none after', async () => {
    const [clock, memory] = [testClock(startedAt), new Memory()]
    const asked: Asked[] = []
    const proofs = opened(memory, clock, (what) => {
      asked.push(what)
      return 'whole'
    })
    await proofs.adopt()
    expect(await proofs.accept('one', startedAt + proofLeewayMs, undefined)).toBe('nonce_required')
    // A refusal counts nothing.
    expect(await proofs.accept('one', startedAt + proofLeewayMs, proofs.nonce())).toBe('accepted')
    expect(await proofs.accept('two', startedAt + proofLeewayMs + 1, undefined)).toBe('accepted')
    expect(asked).toEqual(['adopt', 'epoch', 'remember', 'remember'])
    clock.advance(settledMs)
    await proofs.readopt() // nothing was lost, so no proof becomes too old
    expect(await proofs.accept('three', seconds(clock), undefined)).toBe('accepted')
  })
})

describe('what an instance remembers', () => {
  const life = proofMaxAgeMs + 2 * proofLeewayMs + 1

  it('it knows as long as a proof could be taken, and not a millisecond longer', async () => {
    const { clock, a } = await instances(1)
    const madeAt = clock.now() + 1_000_000 // the age of a proof is checked elsewhere
    expect(await a.accept('one', madeAt, undefined)).toBe('accepted')
    clock.advance(life - 1)
    expect(await a.accept('one', madeAt, undefined)).toBe('replayed')
    clock.advance(1)
    expect(await a.accept('one', madeAt, undefined)).toBe('accepted')
  })

  it('makes room by what is over, and where nothing is, by forgetting all, with the nonce that went with it', async () => {
    const { clock, lines, a } = await instances(1, { limit: 3 })
    lines[0] = 'cut'
    await a.accept('zero', seconds(clock), undefined)
    const show = (id: string, nonce = a.nonce()) => a.accept(id, seconds(clock), nonce)
    clock.advance(1000)
    const nonce = a.nonce()
    expect([await show('one'), await show('two')]).toEqual(['accepted', 'accepted'])
    clock.advance(life - 1000)
    // `zero` has expired, `one` and `two` have not.
    expect([await show('three'), await show('one'), await show('two')]).toEqual(['accepted', 'replayed', 'replayed'])
    expect(a.nonce()).toBe(nonce)
    expect(await show('four')).toBe('nonce_required')
    expect(a.nonce()).not.toBe(nonce)
    expect([await show('four', nonce), await show('four')]).toEqual(['nonce_required', 'accepted'])
  })
})

type Step =
  | { do: 'mint'; nonceOf: number; skewMs: number }
  | { do: 'show'; newest: number; at: number }
  | { do: 'lose' }
  | { do: 'answer' }
  | { do: 'pass'; ms: number }
  | { do: 'line'; of: number; is: Line }
  | { do: 'restart'; of: number }

const instance = fc.nat(1)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('mint' as const),
      nonceOf: fc.integer({ min: -1, max: 1 }),
      skewMs: fc.integer({ min: -20_000, max: proofLeewayMs }),
    }),
  },
  { weight: 12, arbitrary: fc.record({ do: fc.constant('show' as const), newest: fc.nat(5), at: instance }) },
  { weight: 2, arbitrary: fc.constantFrom<Step>({ do: 'lose' }, { do: 'answer' }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 8000 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('line' as const),
      of: instance,
      is: fc.constantFrom<Line>('whole', 'cut', 'answer lost'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const), of: instance }) },
)

it('is never accepted twice, with any order of losses, cuts, late answers and restarts (V10)', async () => {
  let accepted = 0
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.array(step, { minLength: 20, maxLength: 60, size: 'max' }),
      async (scheduler, steps) => {
        const clock = testClock(startedAt)
        const memory = new Memory()
        const lines: Line[] = ['whole', 'whole']
        const alive = [0, 0]
        const start = (n: number) => {
          const store = memory.connect(
            () => lines[n] ?? 'whole',
            () => scheduler.schedule(Promise.resolve()),
          )
          const proofs = new Proofs(store, clock, seededRandom(1000 * (alive[n] ?? 0) + n))
          proofs.adopt().catch(() => undefined)
          return proofs
        }
        const running = [start(0), start(1)]
        const minted: { id: string; madeAt: number; nonce: string | undefined }[] = []
        const counted = new Map<string, number>()
        for (const it of steps) {
          if (it.do === 'mint') {
            const madeAt = Math.floor((clock.now() + it.skewMs) / 1000) * 1000
            minted.push({ id: `proof ${minted.length}`, madeAt, nonce: running[it.nonceOf]?.nonce() })
          } else if (it.do === 'show') {
            const proof = minted.at(-1 - it.newest)
            const age = clock.now() - (proof?.madeAt ?? 0)
            if (!proof || age > proofMaxAgeMs + proofLeewayMs || age < -proofLeewayMs) continue
            const life = alive[it.at]
            void running[it.at]?.accept(proof.id, proof.madeAt, proof.nonce).then((verdict) => {
              // The answer of a process that has ended reaches no caller.
              if (verdict !== 'accepted' || alive[it.at] !== life) return
              accepted++
              counted.set(proof.id, (counted.get(proof.id) ?? 0) + 1)
            })
          } else if (it.do === 'pass') clock.advance(it.ms)
          else if (it.do === 'lose') memory.lose()
          else if (it.do === 'answer') await scheduler.waitIdle()
          else if (it.do === 'line') lines[it.of] = it.is
          else {
            alive[it.of] = (alive[it.of] ?? 0) + 1
            running[it.of] = start(it.of)
          }
        }
        await scheduler.waitIdle()
        expect([...counted].filter(([, times]) => times > 1)).toEqual([])
      },
    ),
    { numRuns: 600 },
  )
  expect(accepted).toBeGreaterThan(500) // otherwise the test would have shown nothing
}, 30_000)
