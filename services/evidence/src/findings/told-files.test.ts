import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { outcomeHash } from '@bailiwick/credentials'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { dropFrom, readTold, toldFile, writeTold } from './told-files.ts'

let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'told-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

const outcomes = ['e30.YQ.c2ln', 'e30.Yg.c2ln']
const hashes = outcomes.map(outcomeHash)

it('reads what was written, with what is looked for of it', async () => {
  const file = toldFile(dir, hashes, true)
  await writeTold(file, { at: 17, answered: true, outcomes })
  expect(JSON.parse(readFileSync(file.path, 'utf8'))).toEqual({ told_at: 17, answered: true, outcomes })
  expect(readTold(dir)).toEqual([
    { file: { path: file.path, left: new Set(hashes) }, at: 17, answered: true, outcomes },
  ])
})

it('has one file for outcomes reported together, another once they are answered, and the same if they are reported again', () => {
  const paths = [
    toldFile(dir, hashes, true),
    toldFile(dir, hashes, true),
    toldFile(dir, hashes, false),
    toldFile(dir, hashes.slice(1), true),
    toldFile(dir, [hashes.join('')], true),
  ].map(({ path }) => path)
  expect(paths[1]).toBe(paths[0])
  expect(new Set(paths).size).toBe(4)
  for (const path of paths) expect(path).toMatch(/^.+\/[\w-]{43}\.json$/)
})

it('takes the file away with the last outcome that is looked for', async () => {
  const file = toldFile(dir, hashes, false)
  await writeTold(file, { at: 1, answered: false, outcomes })
  await dropFrom(file, 'another')
  await dropFrom(file, hashes[0] ?? '')
  expect(existsSync(file.path)).toBe(true)
  await dropFrom(file, hashes[1] ?? '')
  expect(existsSync(file.path)).toBe(false)
  // Dropping from a file that no longer exists does nothing.
  const again = toldFile(dir, hashes.slice(1), false)
  await dropFrom(again, hashes[1] ?? '')
  expect(readdirSync(dir)).toEqual([])
})

it('takes nothing away for an outcome that it does not have', async () => {
  const file = { ...toldFile(dir, hashes, false), left: new Set<string>() }
  await writeTold(file, { at: 1, answered: false, outcomes })
  await dropFrom(file, 'another')
  expect(existsSync(file.path)).toBe(true)
})

it('reads a file from before points could tell what was answered, and no file that is being written', () => {
  writeFileSync(join(dir, 'old.json'), JSON.stringify({ told_at: 3, outcome: outcomes[0] }))
  writeFileSync(join(dir, '.half'), '{')
  expect(readTold(dir)).toMatchObject([{ at: 3, answered: false, outcomes: [outcomes[0]] }])
})

it.each<[string, object]>([
  ['no outcome', { told_at: 3, answered: true, outcomes: [] }],
  ['a member more', { told_at: 3, answered: true, outcomes, more: 1 }],
  ['a member more, and one outcome', { told_at: 3, outcome: outcomes[0], more: 1 }],
  ['a time before all times', { told_at: -1, answered: true, outcomes }],
  ['a time before all times, and one outcome', { told_at: -1, outcome: outcomes[0] }],
])('refuses a file with %s', (_, said) => {
  writeFileSync(join(dir, 'one.json'), JSON.stringify(said))
  expect(() => readTold(dir)).toThrow()
})
