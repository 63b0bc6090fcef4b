import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { killAfterLines } from '../contract/crash-work.ts'
import { embeddedBus } from './embedded-bus.ts'

async function inDirectory(test: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'bailiwick-bus-'))
  try {
    await test(dir)
  } finally {
    await rm(dir, { recursive: true })
  }
}

const open = (dir: string) => embeddedBus({ dir, partitions: () => 1, retentionMs: () => undefined, now: () => 0 })

it('belongs to one process at a time, and says so to a second one', async () => {
  await inDirectory(async (dir) => {
    await using bus = await open(dir)
    // The second process publishes nothing: it reports its error and ends.
    const child = new URL('./locked-child.ts', import.meta.url)
    expect(await killAfterLines(child, [dir], 1)).toEqual(['bus_locked'])
    const [position] = await bus.publish('topic', [{ key: 'k', bytes: new Uint8Array(1) }])
    expect(position).toEqual({ topic: 'topic', partition: 0, offset: 0 })
  })
})

it('belongs to one bus at a time inside a process too, and is free once that is disposed of', async () => {
  await inDirectory(async (dir) => {
    const first = await open(dir)
    await expect(open(dir)).rejects.toMatchObject({ code: 'bus_locked' })
    await expect(open(dir)).rejects.toMatchObject({ code: 'bus_locked' }) // the first refusal released nothing
    await first[Symbol.asyncDispose]()
    await (await open(dir))[Symbol.asyncDispose]()
  })
})

it('is free the moment its process was killed', async () => {
  await inDirectory(async (dir) => {
    const child = new URL('./crash-child.ts', import.meta.url)
    const work = { does: 'publish', topic: 'topic', texts: ['a'] }
    await killAfterLines(child, [JSON.stringify({ dir, partitions: 1, now: 0 }), JSON.stringify(work)], 1)
    await using bus = await open(dir)
    expect(await bus.ends('topic')).toEqual([1])
  })
})
