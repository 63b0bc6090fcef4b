import { execFile } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Term, termOf } from '@bailiwick/contracts'
import { outcomeHash } from '@bailiwick/credentials'
import { systemClock } from '@bailiwick/kit'
import { emptyRoot, leafHash } from '@bailiwick/tlog'
import { open } from 'lmdb'
import { expect, it } from 'vitest'
import { LogFolder, logKey } from '../log/log.fixture.ts'
import { Log } from '../log/log.ts'
import { deniedOf } from '../touched/denied-view.ts'
import { mostTouchedRead } from '../touched/touched.ts'
import { touchedOf } from '../touched/touched-view.ts'
import { LeafIndex } from './leaf-index.ts'
import { queryOf } from './search.ts'

const now = () => systemClock.now()
const second = (n: number) => `2026-11-24T18:00:${String(n).padStart(2, '0')}.000Z`
const event = (n: number, data: object = {}, sequence?: number, type = 'grant.expired', time = second(n)) =>
  Buffer.from(
    JSON.stringify({
      id: `evt_${n}`,
      type,
      source: '/issuer/a',
      time,
      subject: `subject ${n}`,
      ...(sequence === undefined ? {} : { sequence: String(sequence).padStart(16, '0') }),
      data,
    }),
  )

async function withIndex<T>(
  folder: LogFolder,
  add: readonly Buffer[],
  use: (index: LeafIndex) => T | Promise<T>,
): Promise<T> {
  await using storage = await folder.open()
  const log = await Log.open(storage, logKey, now)
  await using index = await LeafIndex.open(join(folder.dir, 'index'), storage, log.checkpoint)
  if (add.length > 0) await index.add(add, await log.append(add, {}))
  return await use(index)
}

/** The indexes of the leaves found, newest first. */
const found = (index: LeafIndex, ...terms: Term[]) =>
  index.find({ each: terms.map((term) => [term]) }, 100).leaves.map((place) => place.index)

it('finds leaves by hash, event id and everything that they name', async () => {
  using folder = new LogFolder()
  const agent = 'spiffe://acme.example/agent/reader'
  const added = [
    event(0, {
      request_id: 'req_1',
      authority: { task: 'q3', permissions: [{ resource: { type: 'tool', id: 'read' } }] },
    }),
    event(1, {
      actor: { request_id: 'req_1', agent: `${agent}/one` },
      list: [{ call_id: 'call_1' }],
      reason: 'uses_exhausted',
    }),
  ]
  await withIndex(folder, added, (index) => {
    expect(index.indexOf(leafHash(added[1] as Buffer))).toBe(1)
    expect(index.indexOf(leafHash(event(7)))).toBe(undefined)
    expect(index.indexOfEvent('evt_1')).toBe(1)
    expect(found(index, 'id req_1')).toEqual([1, 0])
    expect(found(index, 'task q3')).toEqual([0])
    expect(found(index, 'resource read')).toEqual([0])
    expect(found(index, 'call call_1')).toEqual([1])
    expect(found(index, 'reason uses_exhausted')).toEqual([1])
    expect(found(index, 'id subject 0')).toEqual([0])
    expect(found(index, `agent ${agent}/one`)).toEqual([1])
    expect(found(index, `agent ${agent}`)).toEqual([1])
    expect(found(index, 'type grant.expired')).toEqual([1, 0])
    expect(found(index, 'id req_1', 'task q3')).toEqual([0])
    expect(found(index, 'id unknown')).toEqual([])
    expect(found(index)).toEqual([1, 0])
    expect(index.find({ each: [], to: Date.parse(second(0)) }, 9).leaves.map((place) => place.index)).toEqual([0])
    expect(index.find({ each: [], from: Date.parse(second(1)) }, 9).leaves.map((place) => place.index)).toEqual([1])
    expect(index.isTold('q3')).toBe(false) // an agent's name for its task is not a finding of evidence
  })
})

it('keeps evidence silent about nothing that others only mention, in its own findings too (V15)', async () => {
  using folder = new LogFolder()
  const [gap, forgery] = ['/policy-decision/a#0000000000000005-0000000000000005', 'decisions.v1/0/7']
  // An attacker with a service's key chooses what an erasure, and a forged event, is about.
  const added = [
    event(0, { about: gap, by: forgery }, undefined, 'value.erased'),
    event(1, { event_id: gap, topic: forgery }, undefined, 'event.refused'),
  ]
  await withIndex(folder, added, (index) => {
    expect([index.isTold(gap), index.isTold(forgery)]).toEqual([false, false])
    expect([index.isTold('subject 0'), index.isTold('subject 1')]).toEqual([true, true])
    expect(found(index, termOf('id', gap))).toEqual([1, 0])
  })
})

it('takes no name that an agent chose for the id of anything (V3)', async () => {
  using folder = new LogFolder()
  const added = [
    event(0, { authority: { task: 'grt_of_another' } }),
    event(1, { call_id: 'grt_of_another' }),
    event(2, {
      action: { resource: { type: 'tool', id: 'grt_of_another' }, arguments: { '/grant_id': 'grt_of_another' } },
    }),
    event(3, { grant_id: 'grt_of_another' }),
  ]
  await withIndex(folder, added, (index) => expect(found(index, 'id grt_of_another')).toEqual([3]))
})

const granted = {
  grant: {
    id: 'grt_1',
    request_id: 'req_1',
    agent: 'spiffe://acme.example/agent/reader/one',
    authority: { task: 'q3' },
    assertions: [{ credential_id: 'passkey of fiona' }],
  },
}
const acted = (n: number) => [
  event(
    n,
    {
      decision_id: `dec_${n}`,
      call_id: `call_${n}`,
      actor: { grant_id: 'grt_1' },
      action: { resource: { type: 'tool', id: 'pay' } },
    },
    undefined,
    'decision.allowed',
  ),
  event(n + 1, { decision_id: `dec_${n}`, grant_id: 'grt_1' }, undefined, 'outcome.reported'),
]

it('finds what followed by what it followed from, whichever came into the log first', async () => {
  using folder = new LogFolder()
  const added = [...acted(1), event(0, granted, undefined, 'grant.created'), ...acted(5)]
  await withIndex(folder, added, (index) => {
    expect(found(index, 'approver passkey of fiona')).toEqual([4, 3, 1, 0, 2])
    expect(found(index, 'task q3', 'type outcome.reported')).toEqual([4, 1])
    expect(found(index, 'resource pay', 'type outcome.reported')).toEqual([4, 1])
    expect(found(index, 'call call_5')).toEqual([4, 3])
    expect(index.beginningOf('grt_1')).toBe(2)
  })
})

it('does not believe a second event of a grant about who approved it (V3)', async () => {
  using folder = new LogFolder()
  const stolen = { grant: { ...granted.grant, assertions: [{ credential_id: 'passkey of mallory' }] } }
  const added = [
    event(3, granted, undefined, 'grant.created'),
    event(0, stolen, undefined, 'grant.created'), // it states an earlier time
    ...acted(5),
  ]
  await withIndex(folder, added, (index) => {
    expect(index.beginningOf('grt_1')).toBe(0)
    expect(found(index, 'approver passkey of mallory')).toEqual([1])
    expect(found(index, 'approver passkey of fiona')).toEqual([3, 2, 0])
  })
})

it('counts what agents were told by the hour, each leaf once', async () => {
  using folder = new LogFolder()
  const agent = 'spiffe://acme.example/agent/reader'
  const told = (n: number, type: string, time: string) =>
    event(n, { decision_id: `dec_${n}`, actor: { agent: `${agent}/i${n}` } }, undefined, type, time)
  const many = {
    denials: [
      { subject: `${agent}/one`, reason: 'budget_exhausted', count: 40 },
      { subject: 'an address', reason: 'credential_missing', count: 7 },
      { subject: `${agent}/one`, reason: 'proof_nonce_required', count: 7 },
    ],
  }
  const firstTry = { actor: { agent: `${agent}/i9` }, reason: 'proof_nonce_required' }
  const added = [
    told(0, 'decision.allowed', '2026-11-24T18:00:00.000Z'),
    told(1, 'decision.allowed', '2026-11-24T18:59:59.999Z'),
    told(2, 'decision.denied', '2026-11-24T18:10:00.000Z'),
    told(3, 'decision.denied', '2026-11-24T19:00:00.000Z'),
    event(4, many, undefined, 'denials.summarised', '2026-11-24T19:30:00.000Z'),
    event(5, firstTry, undefined, 'decision.denied', '2026-11-24T18:30:00.000Z'),
  ]
  const hour = Date.parse('2026-11-24T18:00:00.000Z') / 3_600_000
  const counts = [
    { agent, hour: hour + 1, allowed: 0, denied: 41 },
    { agent, hour, allowed: 2, denied: 1 },
  ]
  await withIndex(folder, added, async (index) => {
    // As after a crash between indexing and marking it: the same leaves come once more.
    await index.add(added, { size: added.length, root: emptyRoot() })
    expect(index.activity(hour * 3_600_000, (hour + 1) * 3_600_000)).toEqual(counts)
    expect(index.activity((hour + 1) * 3_600_000, (hour + 1) * 3_600_000)).toEqual(counts.slice(0, 1))
    expect(index.activity((hour + 2) * 3_600_000, (hour + 9) * 3_600_000)).toEqual([])
  })
})

it('is made again from the log when it is lost, behind, or of another log', async () => {
  using folder = new LogFolder()
  await withIndex(folder, [event(0), event(1)], () => undefined)
  {
    await using storage = await folder.open()
    await (await Log.open(storage, logKey, now)).append([event(2)], {})
  }
  expect(await withIndex(folder, [], (index) => [index.size, index.indexOfEvent('evt_2')])).toEqual([3, 2])
  rmSync(join(folder.dir, 'index'), { recursive: true })
  expect(await withIndex(folder, [], (index) => [index.size, index.indexOfEvent('evt_1')])).toEqual([3, 1])
  // A log of other events, with all its files, replaced this one, so the indexed leaves are not in it.
  for (const name of ['log', 'tree-head.json', 'journal.0']) rmSync(join(folder.dir, name), { recursive: true })
  {
    await using storage = await folder.open()
    await (await Log.open(storage, logKey, now)).append(
      [5, 6, 7, 8].map((n) => event(n)),
      {},
    )
  }
  await withIndex(folder, [], (index) => {
    expect(index.indexOfEvent('evt_1')).toBe(undefined)
    expect(index.indexOfEvent('evt_8')).toBe(3)
  })
})

it('is made again where it is of an older format', async () => {
  using folder = new LogFolder()
  await withIndex(folder, [event(0), event(1)], () => undefined)
  {
    await using db = new Opened(join(folder.dir, 'index'))
    const { format: _, ...meta } = db.open.get(['meta'])
    await db.open.clearAsync() // the index is empty …
    await db.open.put(['meta'], meta) // … except for the mark that says that it is complete
  }
  expect(await withIndex(folder, [], (index) => [index.size, index.indexOfEvent('evt_1')])).toEqual([2, 1])
})

class Opened implements AsyncDisposable {
  readonly open

  constructor(path: string) {
    this.open = open({ path })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.open.close()
  }
}

it('knows which numbers of a producer are in the log, in any order of arrival (V15)', async () => {
  using folder = new LogFolder()
  const numbers = [2, 1, 5, 4, 5, 9, 1, 7, 6]
  await withIndex(
    folder,
    numbers.map((sequence, n) => event(n, {}, sequence)),
    (index) => {
      expect(index.chainOf('/issuer/a').whole).toBe(2)
      expect(index.chainOf('/issuer/a').ahead.map(([from, to]) => [from, to])).toEqual([
        [4, 7],
        [9, 9],
      ])
      expect(index.chainOf('/issuer/b')).toEqual({ whole: 0, ahead: [] })
    },
  )
})

it('knows which outcomes of an instance are in the log, and which number has two, after a restart too (V10, V15)', async () => {
  using folder = new LogFolder()
  const said = (sequence: number, hash: string, previous?: string) => {
    const payload = { enforcement_point: 'point', instance: 'one', decision_id: `dec_${hash}`, sequence, previous }
    return `${Buffer.from(hash).toString('base64url')}.${Buffer.from(JSON.stringify(payload)).toString('base64url')}.s`
  }
  const first = said(1, 'a')
  const second = said(2, 'b', outcomeHash(first))
  const fourth = said(4, 'd', 'c')
  const again = said(2, 'e', outcomeHash(first))
  const relayed = (n: number, outcome: string) => event(n, { outcome }, undefined, 'outcome.reported')
  const leaves = [relayed(0, first), relayed(1, fourth), relayed(2, second), relayed(3, again)]
  const seen = (index: LeafIndex) => {
    expect([...index.unwholeOutcomes]).toMatchObject([
      {
        point: 'point',
        instance: 'one',
        whole: 2,
        last: [4, outcomeHash(fourth)],
        ahead: [[4, 4, 'c', outcomeHash(fourth)]],
      },
    ])
    expect([...index.doubledOutcomes]).toMatchObject([{ decisionId: 'dec_e', sequence: 2, hash: outcomeHash(again) }])
    expect(index.outcomeUnder('point one', 2)).toBe(outcomeHash(second))
    expect(index.outcomeUnder('point two', 2)).toBeUndefined()
  }
  await withIndex(folder, leaves, seen)
  await withIndex(folder, leaves, seen)
})

it('knows up to which number an instance says that its outcomes were answered (V15)', async () => {
  using folder = new LogFolder()
  const said = (sequence: number, answered?: number) => {
    const payload = { enforcement_point: 'point', instance: 'one', decision_id: `dec_${sequence}`, sequence, answered }
    return `${sequence}.${Buffer.from(JSON.stringify(payload)).toString('base64url')}.s`
  }
  const relayed = (n: number, outcome: string) => event(n, { outcome }, undefined, 'outcome.reported')
  const leaves = [said(9, 3), said(7, 2), said(8, 4)].map((outcome, n) => relayed(n, outcome))
  const last = (index: LeafIndex) => [...index.unwholeOutcomes].map((chain) => chain.last)
  await withIndex(folder, leaves, (index) => expect(last(index)).toEqual([[4, undefined]]))
})

it('lets others have their turn while it adds many leaves', async () => {
  using folder = new LogFolder()
  const added = Array.from({ length: 100 }, (_, n) => event(n, {}, n, 'grant.expired', second(n % 60)))
  await using storage = await folder.open()
  const log = await Log.open(storage, logKey, now)
  await using index = await LeafIndex.open(join(folder.dir, 'index'), storage, log.checkpoint)
  const head = await log.append(added, {})
  let isOver = false
  const adding = index.add(added, head).then(() => {
    isOver = true
  })
  await new Promise(setImmediate)
  // A half-written batch does not count yet: a reader that waits for its words would look too early.
  expect([isOver, index.size]).toEqual([false, 0])
  await adding
  expect(index.size).toBe(100)
  expect(found(index, 'type grant.expired')).toHaveLength(100)
})

it('rejects what it cannot write, and ends in order, when the disk fails (V13)', async () => {
  using folder = new LogFolder()
  const child = new URL('./failing-disk-child.ts', import.meta.url).pathname
  // 400 blocks of 512 bytes (1,024 in some shells): a write beyond fails, as on a full disk.
  const script = 'ulimit -f 400; exec "$0" "$@"'
  const args = ['-c', script, process.execPath, child, join(folder.dir, 'index')]
  const { stdout } = await promisify(execFile)('sh', args, { timeout: 20_000 })
  expect(
    Object.assign(
      {},
      ...stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ),
  ).toEqual({
    ...{ failed: true, size: true, end: 'orderly' },
  })
})

it('reads only so much of what one agent touched, however many things it asked for (V18)', async () => {
  using folder = new LogFolder()
  const actor = { agent: 'spiffe://acme.example/agent/reader/one' }
  const denied = (n: number) => {
    const action = { name: 'read', resource: { type: 'file', id: `file-${n}` } }
    return event(n, { decision_id: `dec_${n}`, actor, action, reason: 'no' }, undefined, 'decision.denied', second(1))
  }
  const added = Array.from({ length: mostTouchedRead + 50 }, (_, n) => denied(n))
  await withIndex(folder, added, (index) => {
    const at = Date.parse(second(1))
    const read = (agent: string) => index.touched(agent, at, at)
    expect(read('spiffe://acme.example/agent/reader')).toHaveLength(mostTouchedRead)
    expect(read('spiffe://acme.example/agent/reader/one')).toEqual([])
    expect(read('spiffe://acme.example/agent')).toEqual([])
    const { complete, things, more_things } = touchedOf(read('spiffe://acme.example/agent/reader'), {
      from: at,
      to: at,
    })
    expect([complete, things.length, more_things]).toEqual([false, 200, mostTouchedRead - 200])
  })
})

it('finds the one ALLOW of an agent at once, however many denials of it and ALLOWs of others came since (V18)', async () => {
  using folder = new LogFolder()
  const agent = 'spiffe://acme.example/agent/reader'
  const of = (n: number, who: string, type: string) =>
    event(n, { decision_id: `dec_${n}`, actor: { agent: `${who}/one` } }, undefined, type, new Date(n).toISOString())
  const added = Array.from({ length: 12_000 }, (_, n) =>
    n % 2 === 0 ? of(n + 1, `${agent}-2`, 'decision.allowed') : of(n + 1, agent, 'decision.denied'),
  )
  await withIndex(folder, [of(0, agent, 'decision.allowed'), ...added], (index) => {
    const registry = { passkeysOf: () => [] }
    for (const who of [agent, `${agent}/one`])
      expect(index.find(queryOf({ agent: who, type: 'decision.allowed', from: 0 }, registry), 200)).toEqual({
        leaves: [{ at: 0, index: 0 }],
      })
    expect(index.find(queryOf({ agent, type: 'decision.allowed', from: 1 }, registry), 200)).toEqual({ leaves: [] })
    expect(index.find(queryOf({ agent, type: 'decision.denied' }, registry), 5).leaves).toHaveLength(5)
  })
})

it('shows the denials of every agent, however many things one of them asks for (V18)', async () => {
  using folder = new LogFolder()
  const denied = (n: number, agent: string, file: string) => {
    const actor = { agent: `spiffe://acme.example/agent/${agent}/one` }
    const action = { name: 'read', resource: { type: 'file', id: file } }
    return event(n, { decision_id: `dec_${n}`, actor, action, reason: 'no' }, undefined, 'decision.denied', second(1))
  }
  const loud = Array.from({ length: 900 }, (_, n) => denied(n, 'loud', `file-${n}`))
  const others = Array.from({ length: 25 }, (_, n) => denied(1000 + n, `quiet-${n}`, 'file'))
  await withIndex(folder, [...loud, ...others], (index) => {
    const at = Date.parse(second(1))
    const { agents, more_agents } = deniedOf(index.denied(at, at), { from: at, to: at })
    expect([agents.length, more_agents]).toEqual([20, 6])
    const [first, next] = agents
    expect(first).toMatchObject({ agent: 'spiffe://acme.example/agent/loud', denied: 900, complete: false })
    expect(first?.things).toHaveLength(50)
    expect(next).toMatchObject({ denied: 1, complete: true, things: [{ resource: 'file', denied: 1 }] })
    expect(index.denied(at + 3_600_000, at + 3_600_000)).toEqual({ agents: [], moreAgents: 0 })
  })
})

it('shows what an agent was denied, however many things it was allowed afterwards', async () => {
  using folder = new LogFolder()
  const [hour, agent] = [Date.parse('2026-11-24T18:00:00.000Z'), 'spiffe://acme.example/agent/busy']
  const decided = (n: number, type: string, file: string) => {
    const action = { name: 'read', resource: { type: 'file', id: file } }
    const data = { decision_id: `dec_${n}`, actor: { agent: `${agent}/one` }, action }
    const isDenied = type === 'decision.denied'
    const time = new Date(hour + (isDenied ? 0 : 3_600_000)).toISOString()
    return event(n, { ...data, ...(isDenied ? { reason: 'no' } : {}) }, undefined, type, time)
  }
  const allowed = Array.from({ length: 600 }, (_, n) => decided(n, 'decision.allowed', `file-${n}`))
  await withIndex(folder, [decided(1000, 'decision.denied', 'secret'), ...allowed], (index) => {
    const span = { from: hour, to: hour + 3_600_000 }
    expect(deniedOf(index.denied(span.from, span.to), span).agents).toMatchObject([
      { agent, denied: 1, complete: true, things: [{ resource: 'secret', denied: 1 }] },
    ])
  })
})
