import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '@bailiwick/service-kit'
import { leafHash } from '@bailiwick/tlog'
import { expect, it } from 'vitest'
import { LeafIndex } from './leaf-index.ts'
import { LogFolder, logKey } from './log.fixture.ts'
import { Log } from './log.ts'

const now = () => systemClock.now()
const event = (n: number, data: object = {}, sequence?: number) =>
  Buffer.from(
    JSON.stringify({
      id: `evt_${n}`,
      type: 'grant.created',
      source: '/issuer/a',
      subject: `subject ${n}`,
      ...(sequence === undefined ? {} : { sequence: String(sequence).padStart(16, '0') }),
      data,
    }),
  )

async function withIndex<T>(folder: LogFolder, add: readonly Buffer[], use: (index: LeafIndex) => T): Promise<T> {
  await using storage = await folder.open()
  const log = await Log.open(storage, logKey, now)
  await using index = await LeafIndex.open(join(folder.dir, 'index'), storage, log.checkpoint)
  if (add.length > 0) await index.add(add, await log.append(add, {}))
  return use(index)
}

const mentions = (index: LeafIndex, id: string) => [...index.mentions(id)].map((mention) => mention.index)

it('finds leaves by hash, event id and everything that they name', async () => {
  using folder = new LogFolder()
  const agent = 'spiffe://acme.example/agent/reader'
  const added = [
    event(0, { request_id: 'req_1', authority: { task: 'q3' } }),
    event(1, { actor: { request_id: 'req_1', agent: `${agent}/one` }, list: [{ grant_id: 'grt_1' }] }),
  ]
  await withIndex(folder, added, (index) => {
    expect(index.indexOf(leafHash(added[1] as Buffer))).toBe(1)
    expect(index.indexOf(leafHash(event(7)))).toBe(undefined)
    expect(index.indexOfEvent('evt_1')).toBe(1)
    expect(mentions(index, 'req_1')).toEqual([0, 1])
    expect(mentions(index, 'q3')).toEqual([0])
    expect(mentions(index, 'grt_1')).toEqual([1])
    expect(mentions(index, 'subject 0')).toEqual([0])
    expect(mentions(index, `${agent}/one`)).toEqual([1])
    expect(mentions(index, agent)).toEqual([1])
    expect(mentions(index, 'nobody')).toEqual([])
    expect([...index.newestMentions('req_1', 9)].map((mention) => mention.index)).toEqual([1, 0])
    expect([...index.newestMentions('req_1', 1)].map((mention) => mention.index)).toEqual([1])
    expect(index.isTold('q3')).toBe(false) // an agent's word for its task is not evidence's
    expect([...index.mentions('grt_1')]).toEqual([{ index: 1, type: 'grant.created' }])
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
  // A log of other events was put in its place, with its own tree head: what was indexed is not there.
  for (const name of ['log', 'tree-head.json']) rmSync(join(folder.dir, name), { recursive: true })
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

it('knows which numbers of a producer are in the log, in whatever order they came (V15)', async () => {
  using folder = new LogFolder()
  const numbers = [2, 1, 5, 4, 5, 9]
  await withIndex(
    folder,
    numbers.map((sequence, n) => event(n, {}, sequence)),
    (index) => {
      expect(index.chainOf('/issuer/a').whole).toBe(2)
      expect(index.chainOf('/issuer/a').ahead.toSorted()).toEqual([4, 5, 9])
      expect(index.chainOf('/issuer/b')).toEqual({ whole: 0, ahead: [] })
    },
  )
})
