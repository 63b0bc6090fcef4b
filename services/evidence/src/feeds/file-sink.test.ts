import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { aRecord, records } from './feed.fixture.ts'
import { assertFileSink, fileSink } from './file-sink.ts'
import { oneLine } from './records.ts'

const origin = aRecord(0).event.metadata.log_name
const never = new AbortController().signal
let folder = ''
let path = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'file-sink-'))
  path = join(folder, 'evidence.jsonl')
})
afterEach(() => rmSync(folder, { recursive: true }))

const sink = (maxBytes = 1e9, keep = 3) => fileSink({ path, maxBytes, keep, origin, bound: 1e6 })
const linesOf = (name: string) => readFileSync(join(folder, name), 'utf8').split('\n').slice(0, -1)
const indexesOf = (name: string) => linesOf(name).map((line) => JSON.parse(line).metadata.sequence as number)
const upTo = (end: number, from = 0) => Array.from({ length: end - from }, (_, n) => from + n)

it('writes a line an event, and each the event as it is', async () => {
  expect(await sink().deliver(records(0, 3), never)).toEqual({ taken: 3 })
  expect(linesOf('evidence.jsonl').map((line) => JSON.parse(line))).toEqual(records(0, 3).map(({ event }) => event))
})

it('puts a full file aside and keeps as many as configured', async () => {
  const line = aRecord(0).json.length + 1
  const one = sink(line * 4, 2)
  for (let from = 0; from < 30; from += 3) await one.deliver(records(from, from + 3), never)
  const names = readdirSync(folder).sort()
  expect(names).toEqual(['evidence.jsonl', 'evidence.jsonl.0000000000000024', 'evidence.jsonl.0000000000000027'])
  expect(names.map(indexesOf)).toEqual([upTo(30, 27), upTo(24, 21), upTo(27, 24)])
})

it('goes on in a batch that is larger than a file may be', async () => {
  expect(await sink(10).deliver(records(0, 5), never)).toEqual({ taken: 5 })
  expect(await sink(10).deliver(records(5, 6), never)).toEqual({ taken: 1 })
  expect(readdirSync(folder).sort().map(indexesOf)).toEqual([[5], upTo(5)])
})

it('writes no line twice, even from a wrong position', async () => {
  const one = sink()
  await one.deliver(records(0, 5), never)
  await one.deliver(records(2, 7), never)
  await sink().deliver(records(0, 9), never)
  expect(indexesOf('evidence.jsonl')).toEqual(upTo(9))
})

it('takes away the line that a crash cut off, wherever it did', async () => {
  await sink().deliver(records(0, 3), never)
  const whole = readFileSync(path)
  const last = Buffer.byteLength(aRecord(2).json) + 1
  for (const lost of [1, 2, 10, last - 1, last]) {
    writeFileSync(path, whole)
    truncateSync(path, whole.length - lost)
    expect(await sink().deliver(records(1, 4), never)).toEqual({ taken: 3 })
    expect(indexesOf('evidence.jsonl')).toEqual(upTo(4))
  }
})

it('notices while it runs that the file was emptied, cut or taken away', async () => {
  const one = sink()
  await one.deliver(records(0, 3), never)
  truncateSync(path, 0)
  await one.deliver(records(3, 5), never)
  expect(indexesOf('evidence.jsonl')).toEqual([3, 4])
  truncateSync(path, 100)
  await one.deliver(records(5, 6), never)
  expect(indexesOf('evidence.jsonl')).toEqual([5])
  rmSync(path)
  await one.deliver(records(6, 7), never)
  expect(indexesOf('evidence.jsonl')).toEqual([6])
})

it('leaves the lines of another writer alone, and appends after them', async () => {
  writeFileSync(path, 'not ours\n')
  await sink().deliver(records(0, 2), never)
  appendFileSync(path, '{"metadata":{"log_name":"another log","sequence":99999}}\n')
  await sink().deliver(records(2, 4), never)
  expect(linesOf('evidence.jsonl').filter((line) => line.includes('"class_uid"'))).toHaveLength(4)
})

it('touches no file that is none of lines', async () => {
  const binary = Buffer.alloc(600 * 1024, 7)
  writeFileSync(path, binary)
  await expect(sink().deliver(records(0, 1), never)).rejects.toThrow('something else')
  expect(readFileSync(path)).toEqual(binary)
})

describe('where it cannot write', () => {
  it('follows no link and writes to nothing but a file', async () => {
    writeFileSync(join(folder, 'target'), '')
    symlinkSync(join(folder, 'target'), path)
    await expect(sink().deliver(records(0, 1), never)).rejects.toThrow('ELOOP')
    expect(readFileSync(join(folder, 'target'), 'utf8')).toBe('')
    for (const other of ['/dev/full', folder, join(folder, 'none', 'evidence.jsonl')])
      await expect(
        fileSink({ path: other, maxBytes: 1e6, keep: 1, origin, bound: 1 }).deliver(records(0, 1), never),
      ).rejects.toThrow()
  })

  it('says so at the start, and names the setting', async () => {
    mkdirSync(path)
    await expect(assertFileSink(path)).rejects.toMatchObject({
      code: 'config_invalid',
      detail: `BAILIWICK_SINK_FILE: ${path} cannot be written (EISDIR)`,
    })
    await expect(assertFileSink(join(folder, 'none', 'x'))).rejects.toThrow('ENOENT')
    await expect(assertFileSink('/dev/full')).rejects.toThrow('not a file')
  })

  it('on a full disk writes whole lines or none, and goes on when there is space', () => {
    const child = fileURLToPath(new URL('./full-disk-child.ts', import.meta.url))
    // A limit on the size of files (64 blocks of 1 KiB) stops a write in the middle, as a full disk does.
    const limited = (blocks: string) =>
      JSON.parse(
        execFileSync(
          'bash',
          ['-c', `trap '' XFSZ; ulimit -f ${blocks}; exec "$0" "$1" "$2"`, process.execPath, child, path],
          {
            encoding: 'utf8',
          },
        ),
      ) as { failed: string; taken: number }
    const first = limited('64')
    expect(first.failed).toMatch(/EFBIG|nothing of a write/)
    const text = readFileSync(path, 'utf8')
    expect(text.endsWith('\n')).toBe(true)
    expect(indexesOf('evidence.jsonl')).toEqual(upTo(first.taken))
    expect(limited('unlimited')).toEqual({ failed: '', taken: 100 })
    expect(indexesOf('evidence.jsonl')).toEqual(upTo(100))
  })
})

it('keeps a line a line for readers that end lines where JSON does not', () => {
  const { event } = aRecord(0)
  const hostile = 'a\r\nb\u0085c\u2028d\u2029e\u000b\u000c'
  const line = oneLine({ ...event, message: hostile })
  for (const end of hostile.replace(/[a-e]/g, '')) expect(line).not.toContain(end)
  expect(JSON.parse(line).message).toBe(hostile)
})
