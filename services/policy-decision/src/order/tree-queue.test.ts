import { ServiceError } from '@bailiwick/errors'
import { change, type DecisionFacts, emptySpend } from '@bailiwick/projection'
import { describe, expect, it } from 'vitest'
import { now, spell } from '../steps/living-call.fixture.ts'
import { queued } from './queued.fixture.ts'
import { allowedDraft, anAllow } from './tree-order.fixture.ts'
import type { Work } from './tree-queue.ts'

describe('what is asked for in one turn', () => {
  it('shares one durable write, numbered, each naming the one before it (V9)', async () => {
    const w = queued()
    const works = ['a', 'b', 'c'].map((id) => anAllow(id))
    w.add(...works)
    await w.idle()
    expect(w.writes).toHaveLength(1)
    expect(w.writes[0]).toMatchObject([
      { id: 'evt_1', key: 'grt_1', version: 1, type: 'decision.allowed', subject: 'a' },
      { id: 'evt_2', key: 'grt_1', version: 2, data: { after: 'evt_1', call_id: 'call_b' } },
      { id: 'evt_3', key: 'grt_1', version: 3, data: { after: 'evt_2' } },
    ])
    expect(w.writes[0]?.[0]?.data).not.toHaveProperty('after')
    expect(w.store.advances).toMatchObject([
      { takeId: 'a', from: 0, to: 1 },
      { takeId: 'b', from: 1, to: 2 },
      { takeId: 'c', from: 2, to: 3 },
    ])
    // Each was evaluated on the tree as the earlier ones would leave it.
    expect(works.map(({ heard }) => heard)).toEqual([
      [0, 'recorded'],
      [1, 'recorded'],
      [2, 'recorded'],
    ])
    expect(w.trees.get('grt_1')?.taken.calls).toBe(3n)
  })

  it('and what comes while it is written, the next', async () => {
    const w = queued()
    const late = anAllow('late')
    w.order.before = async () => {
      w.order.before = async () => undefined
      w.add(late)
    }
    w.add(anAllow('a'))
    await w.idle()
    expect(w.written()).toEqual([['a'], ['late']])
    expect(w.writes[1]?.[0]).toMatchObject({ version: 2, data: { after: 'evt_1' } })
    expect(late.heard).toEqual([1, 'recorded'])
  })

  it('is written 128 at a time', async () => {
    const w = queued()
    w.add(...Array.from({ length: 130 }, (_, n) => anAllow(`n${n}`)))
    expect(w.queues.length).toBe(130)
    await w.idle()
    expect(w.writes.map(({ length }) => length)).toEqual([128, 2])
  })

  it('is refused where 2,048 of its task wait, and no other task is', async () => {
    const w = queued()
    const heard: string[] = []
    const waiting = { ...anAllow('w').work, plan: () => void heard.push('planned') }
    for (let n = 0; n < 2047; n++) w.queues.add('grt_1', waiting)
    w.queues.addIfRoom('grt_1', waiting)
    expect(() => w.queues.add('grt_1', waiting)).toThrow(
      expect.objectContaining({ code: 'queue_full', detail: 'too many calls of this task are waiting' }),
    )
    w.queues.addIfRoom('grt_1', waiting)
    expect(w.queues.length).toBe(2048)
    w.queues.addIfRoom('grt_2', waiting)
    expect(w.queues.length).toBe(2049)
    await w.idle()
    expect(heard).toHaveLength(2049)
    expect(w.writes).toEqual([]) // nothing was planned, so nothing is written
  })
})

describe('what another instance was first with', () => {
  it('is evaluated again on the new state, and the store told what the log has (V2, V9)', async () => {
    const w = queued()
    w.order.overtaken = 1
    const [a, b] = [anAllow('a'), anAllow('b')]
    w.add(a, b)
    await w.idle()
    expect(a.heard).toEqual([0, 1, 'recorded'])
    expect(b.heard).toEqual([1, 2, 'recorded'])
    expect(w.written()).toEqual([
      ['a', 'b'],
      ['a', 'b'],
    ])
    expect(w.writes[1]?.[0]).toMatchObject({ version: 2, data: { after: 'evt_others' } })
    expect(w.store.resets).toMatchObject([{ version: 1 }])
  })

  it('three times is enough', async () => {
    const w = queued()
    w.order.overtaken = 3
    const a = anAllow('a')
    w.add(a)
    await w.idle()
    expect(a.heard).toEqual([0, 1, 2, 'state_contended'])
    expect(w.writes).toHaveLength(3)
    const b = anAllow('b')
    w.order.overtaken = 2
    w.add(b)
    await w.idle()
    expect(b.heard).toEqual([3, 4, 5, 'recorded'])
  })

  it('waiting for the store does not count as an attempt', async () => {
    const w = queued()
    w.store.answers.push(...Array.from({ length: 5 }, () => ({ outcome: 'ahead', version: 1 }) as const))
    const a = anAllow('a')
    w.add(a)
    await w.idle()
    expect(a.heard).toEqual([0, 0, 0, 0, 0, 0, 'recorded'])
    expect(w.writes).toHaveLength(1)
    expect(w.told).toEqual([])
  })

  it('nor does a lost write count as an attempt of the calls that waited meanwhile', async () => {
    const w = queued()
    w.store.answers.push({ outcome: 'advanced' }, { outcome: 'ahead', version: 1 })
    w.order.before = async () => {
      Object.assign(w.order, { before: async () => undefined, overtaken: 2 })
      throw new Error('away')
    }
    const [a, b] = [anAllow('a'), anAllow('b')]
    w.add(a, b)
    await w.idle()
    expect(a.heard).toEqual([0, new Error('away')])
    expect(b.heard).toEqual([1, 0, 1, 2, 'recorded'])
  })

  it('also where only a part of a write is void', async () => {
    const w = queued()
    w.order.voids.add('b')
    const [a, b] = [anAllow('a'), anAllow('b')]
    w.add(a, b)
    await w.idle()
    expect([a.heard, b.heard]).toEqual([
      [0, 'recorded'],
      [1, 1, 'recorded'],
    ])
    expect(w.store.resets).toMatchObject([{ version: 1 }])
  })

  it('does not hold up who could be written', async () => {
    const w = queued()
    w.store.answers.push({ outcome: 'advanced' }, { outcome: 'ahead', version: 2 })
    const [a, b] = [anAllow('a'), anAllow('b')]
    w.add(a, b)
    await w.idle()
    expect(w.written()).toEqual([['a'], ['b']])
    expect([a.heard, b.heard]).toEqual([
      [0, 'recorded'],
      [1, 1, 'recorded'],
    ])
  })
})

describe('what lost to calls of its own batch', () => {
  /** A call that fits only while nothing is taken. */
  const loser = (name: string) => {
    const allow = anAllow(name)
    const { plan } = allow.work
    const heard: unknown[] = []
    const work: Work = {
      ...allow.work,
      plan: (view) => (view.taken.calls > 0n ? { outbid: 'uses_reserved' } : plan(view)),
      recorded: () => heard.push('recorded'),
      refused: (reason) => heard.push(reason),
    }
    return { work, heard }
  }

  it('is answered after these', async () => {
    const w = queued()
    const [a, b] = [anAllow('a'), loser('b')]
    w.order.before = async () => expect(b.heard).toEqual([])
    w.add(a, b)
    await w.idle()
    expect([a.heard, b.heard]).toEqual([[0, 'recorded'], ['uses_reserved']])
    expect(w.written()).toEqual([['a']])
  })

  it('takes what one gives back that came too late for its caller, before what came later (V9)', async () => {
    const w = queued()
    const a = anAllow('a', { recorded: () => w.queues.abandonOnce('grt_1', 'a', 'call_a') })
    const [b, c, d] = [loser('b'), loser('c'), loser('d')]
    w.order.before = async () => {
      w.order.before = async () => undefined
      w.add(d)
    }
    w.add(a, b, c)
    await w.idle()
    expect(w.writes.map((drafts) => drafts.map(({ type, subject }) => `${type} ${subject}`))).toEqual([
      ['decision.allowed a'],
      ['decision.abandoned a'],
      ['decision.allowed b'],
    ])
    expect([b.heard, c.heard, d.heard]).toEqual([['recorded'], ['uses_reserved'], ['uses_reserved']])
    // The store is asked with the log's version: it was not told what was given back.
    expect(w.store.advances.at(-1)).toMatchObject({ from: 2, to: 3 })
  })

  it('is evaluated again where these are void', async () => {
    const w = queued()
    w.order.voids.add('a')
    const [a, b] = [anAllow('a'), loser('b')]
    w.add(a, b)
    await w.idle()
    expect(w.written()).toEqual([['a'], ['a']])
    expect(b.heard).toEqual(['uses_reserved'])
  })
})

describe('a fault of one call', () => {
  it('is answered to that call, and the others are written: what the store refuses', async () => {
    const w = queued()
    w.store.answers.push({ outcome: 'exhausted', resource: 'calls' })
    const [a, b] = [anAllow('a'), anAllow('b')]
    w.add(a, b)
    await w.idle()
    expect(a.heard).toEqual([0, 'budget_reserved'])
    expect(b.heard).toEqual([0, 'recorded'])
    expect(w.writes[0]).toMatchObject([{ subject: 'b', version: 1 }])
  })

  it('what cannot be evaluated', async () => {
    const w = queued()
    const a = anAllow('a', {
      plan: () => {
        throw new Error('odd')
      },
    })
    const b = anAllow('b')
    w.add(a, b)
    await w.idle()
    expect(a.heard).toEqual(['internal'])
    expect(b.heard).toEqual([0, 'recorded'])
    expect(w.told).toEqual([['a decision could not be evaluated', { err: new Error('odd'), tree: 'grt_1' }]])
  })

  it('what has no room in an event, wherever it stands: it alone is denied, and takes nothing (V9, V18)', async () => {
    for (const at of [0, 3, 6]) {
      const w = queued()
      const large = Array.from({ length: 7 }, (_, n) => `n${n}`)[at]
      w.order.before = async () => {
        if (w.writes.at(-1)?.some(({ subject }) => subject === large)) throw new ServiceError('event_too_large')
      }
      const works = Array.from({ length: 7 }, (_, n) => anAllow(`n${n}`))
      w.add(...works)
      await w.idle()
      expect(works.map(({ heard }) => heard.at(-1))).toEqual(
        works.map((_, n) => (n === at ? 'request_too_large' : 'recorded')),
      )
      expect(w.trees.get('grt_1')?.version).toBe(6)
      // The store was told to forget everything that it took for events that were not written.
      const [last] = w.store.resets.slice(-1)
      expect(last?.left.calls).toBe(9n - BigInt(at))
      expect(w.told).toEqual([])
    }
  })

  it('what another instance overtook while the store was asked: it is evaluated again (V10)', async () => {
    const w = queued()
    const tree = emptySpend()
    w.trees.set('grt_1', tree)
    const proof_id = 'p'.repeat(43)
    // The other instance's ALLOW for the same proof is folded between the plan and the answer of the store.
    w.store.during = () => {
      const { type, data } = allowedDraft('theirs', { proof_id })
      change(tree, { type, data, time: spell(now) } as DecisionFacts)
      Object.assign(tree, { version: 1, head: 'evt_theirs' })
    }
    const heard: unknown[] = []
    const { work: own } = anAllow('ours', { data: { proof_id } })
    const plan: Work['plan'] = (view) => {
      heard.push(view.byProof.has(proof_id) ? 'proof_replayed' : view.version)
      return view.byProof.has(proof_id) ? undefined : own.plan(view)
    }
    const b = anAllow('b')
    w.add({ work: { ...own, plan, refused: (reason) => heard.push(reason) }, heard }, b)
    await w.idle()
    await w.idle()
    expect(heard).toEqual([0, 'proof_replayed'])
    expect(b.heard.at(-1)).toBe('recorded')
    expect(w.told).toEqual([])
    expect(w.store.resets.length).toBeGreaterThan(0)
  })

  it('what does not fit the tree that it was planned for', async () => {
    const w = queued()
    const [a, twice, b] = [anAllow('a'), anAllow('a'), anAllow('b')]
    w.add(a, twice, b)
    await w.idle()
    expect(twice.heard).toEqual([1, 'internal'])
    expect(b.heard).toEqual([1, 'recorded'])
    expect(w.writes[0]).toMatchObject([{ version: 1 }, { subject: 'b', version: 2 }])
    expect(w.told).toEqual([['what was planned does not fit its tree', { tree: 'grt_1', type: 'decision.allowed' }]])
  })

  it('who cannot tell its caller', async () => {
    const w = queued()
    const odd = new Error('gone')
    const a = anAllow('a', {
      recorded: () => {
        throw odd
      },
    })
    const b = anAllow('b')
    w.add(a, b)
    await w.idle()
    expect(a.heard).toEqual([0, odd])
    expect(b.heard).toEqual([1, 'recorded'])
  })

  it('a write whose outcome is unknown: no call of it gets an ALLOW, and the next ones are served', async () => {
    const w = queued()
    const away = new Error('away')
    w.order.before = async () => {
      w.order.before = async () => undefined
      throw away
    }
    const [a, b] = [anAllow('a'), anAllow('b')]
    w.add(a, b)
    await w.idle()
    expect(a.heard).toEqual([0, away])
    expect(b.heard).toEqual([1, away])
    expect(w.told).toEqual([])
    const c = anAllow('c')
    w.add(c)
    await w.idle()
    expect(c.heard).toEqual([0, 'recorded'])
  })

  it('a whole batch that fails is unsure, and what comes next is heard', async () => {
    const w = queued()
    Object.assign(w.pdp, {
      newEventId: () => {
        Object.assign(w.pdp, { newEventId: () => 'evt_9' })
        throw new Error('no id')
      },
    })
    const [a, b] = [anAllow('a'), anAllow('b')]
    w.add(a, b)
    await w.idle()
    expect([a.heard.at(-1), b.heard]).toEqual([expect.any(Error), [expect.any(Error)]])
    expect(w.told).toEqual([['a batch of decisions failed', { err: new Error('no id'), tree: 'grt_1' }]])
    const c = anAllow('c')
    w.add(c)
    await w.idle()
    expect(c.heard).toEqual([0, 'recorded'])
  })
})
