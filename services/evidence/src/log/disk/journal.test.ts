import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { journalIn } from './journal.ts'
import { systemLogFs } from './log-fs.ts'

function aFolder() {
  const dir = mkdtempSync(join(tmpdir(), 'evidence-journal-'))
  return { dir, [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }) }
}

const record = (from: number, length = 20, to = from + 1) => ({ from, to, bytes: Buffer.alloc(length, `${from} `) })

it('makes a record durable with one flush, once its files are there (V2)', async () => {
  using folder = aFolder()
  const flushed: string[] = []
  const fs: typeof systemLogFs = {
    ...systemLogFs,
    open: async (path, flags, mode) => {
      const handle = await systemLogFs.open(path, flags, mode)
      const noting = (flush: () => Promise<void>) => async () => {
        await flush()
        flushed.push(path)
      }
      return { ...handle, sync: noting(handle.sync), datasync: noting(handle.datasync) }
    },
  }
  const journal = journalIn(folder.dir, fs)
  for (let n = 0; n < 2; n++) await journal.append(record(n), n)
  // After a power cut, a file whose name is not durable is gone.
  for (const half of ['journal.0', 'journal.1'])
    expect(flushed.filter((path) => path === folder.dir || path.endsWith(half)).length).toBeGreaterThan(1)
  flushed.length = 0
  for (let n = 2; n < 50; n++) await journal.append(record(n), n)
  expect(flushed).toHaveLength(48)
  await journal.close()
})

it('never writes over what the tree does not have, whenever that grows (V2)', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ length: fc.nat(3000), grows: fc.boolean() }), { minLength: 1 }),
      async (steps) => {
        using folder = aFolder()
        const journal = journalIn(folder.dir, systemLogFs)
        let size = 0
        for (const [n, { length, grows }] of steps.entries()) {
          await journal.append(record(n, length), size)
          // As if the process died here.
          const found = await journalIn(folder.dir, systemLogFs).read(size)
          expect(found.map(({ from }) => from)).toEqual(Array.from({ length: n + 1 - size }, (_, at) => size + at))
          for (const { from, bytes } of found) expect(bytes).toEqual(record(from, steps[from]?.length).bytes)
          if (grows) size = n + 1 - (n % 3 === 0 && n > size ? 1 : 0)
        }
        await journal.close()
      },
    ),
    { numRuns: 60 },
  )
})

it('leaves out what was torn at the end, and refuses what is damaged before the end (V2, V14)', async () => {
  using folder = aFolder()
  const journal = journalIn(folder.dir, systemLogFs)
  // The tree has none of the records: the first is in one file, the others are in the second, one after the other.
  for (let n = 0; n < 4; n++) await journal.append(record(n), 0)
  await journal.close()
  const read = () => journalIn(folder.dir, systemLogFs).read(0)
  const file = join(folder.dir, 'journal.1')
  const whole = readFileSync(file)
  for (let cut = 1; cut < whole.length / 3; cut++) {
    writeFileSync(file, whole.subarray(0, whole.length - cut))
    expect((await read()).map(({ from }) => from)).toEqual(cut < 2 ? [0, 1, 2, 3] : [0, 1, 2])
  }
  for (const at of [whole.indexOf('1 1 '), whole.indexOf('2 2 ')]) {
    const damaged = Buffer.from(whole)
    damaged[at] = 0x21
    writeFileSync(file, damaged)
    await expect(read()).rejects.toMatchObject({ code: 'log_inconsistent' })
  }
  rmSync(join(folder.dir, 'journal.0'))
  await expect(read()).rejects.toMatchObject({ code: 'log_inconsistent' })
})

it('does not keep the room of a burst for ever', async () => {
  using folder = aFolder()
  const journal = journalIn(folder.dir, systemLogFs)
  await journal.append(record(0, 5_000_000), 0)
  for (let n = 1; n < 5; n++) await journal.append(record(n), n)
  for (const half of ['journal.0', 'journal.1']) expect(statSync(join(folder.dir, half)).size).toBeLessThan(1000)
  await journal.close()
  expect(readFileSync(join(folder.dir, 'journal.0')).length).toBeGreaterThan(0)
})
