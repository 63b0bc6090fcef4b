import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { readLog } from '../audit.ts'

const bailiwick = join(import.meta.dirname, '../../packages/cli/src/main.ts')
const execute = promisify(execFile)
let home = ''
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'bench-log-'))
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

const bench = (...more: string[]) => execute(process.execPath, [bailiwick, 'bench', 'log', ...more])
const hashOf = (entry: Uint8Array) => createHash('sha256').update(Uint8Array.of(0)).update(entry).digest('hex')

it.each([
  [1, 700],
  [40, 20],
])(
  '%i writers leave a finished log that has each acknowledged entry of %i bytes once (V2, V14)',
  async (writers, size) => {
    const [dir, acks] = [join(home, 'log'), join(home, 'acks')]
    const sizes = ['--writers', String(writers), '--seconds', '1', '--size', String(size)]
    const { stdout } = await bench(...sizes, '--dir', dir, '--acks', acks, '--json')
    const result = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')
    const members = ['entries', 'seconds', 'entries_per_s', 'p50_ms', 'p99_ms', 'ack', 'vkey']
    expect(Object.keys(result)).toEqual(members)
    expect(result.ack).toBe('durable')
    const { entries, findings } = await readLog(dir, result.vkey)
    expect(findings).toEqual([])
    const lines = readFileSync(acks, 'utf8').trimEnd().split('\n')
    expect(lines).toHaveLength(result.entries)
    expect(result.entries).toBeGreaterThan(0)
    expect(entries).toHaveLength(result.entries)
    expect(new Set(entries.map(({ length }) => length))).toEqual(new Set([size]))
    const found = entries.map((entry, index) => `${index} ${hashOf(entry)}`)
    expect(new Set(found.map((line) => line.split(' ')[1])).size).toBe(found.length)
    expect(lines.toSorted()).toEqual(found.toSorted())
    expect(existsSync(`${dir}.state`)).toBe(false)
  },
)

it('refuses an existing folder, and entries longer than a bundle can hold', async () => {
  const acks = ['--acks', join(home, 'acks')]
  for (const wrong of [
    ['--dir', home],
    ['--dir', join(home, 'log'), '--size', '65536'],
  ])
    await expect(bench(...wrong, ...acks)).rejects.toMatchObject({ code: 2 })
  expect(existsSync(join(home, 'log'))).toBe(false)
})

it('reports in one line what it cannot write, and leaves nothing behind', async () => {
  const [dir, acks] = [join(home, 'log'), join(home, 'none', 'acks')]
  const { code, stdout, stderr } = await bench('--dir', dir, '--acks', acks).catch((error) => error)
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toMatch(/^bailiwick bench log: [^\n]*none\/acks[^\n]*\n$/)
  expect(readdirSync(home)).toEqual([])
})
