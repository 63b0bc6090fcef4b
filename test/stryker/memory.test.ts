import { mkdtempDisposableSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { forgetUnnoticed, gather, memoryOf, remembered, scatter } from './memory.ts'

const root = join(import.meta.dirname, '../..')
const path = 'test/stryker/memory.ts'
const test = 'test/stryker/memory.test.ts'
const textOf = (name: string) => readFileSync(join(root, name), 'utf8')
const location = { start: { line: 1, column: 1 } }
const mutants = [
  { id: '0', status: 'Killed', static: true, killedBy: ['0'], coveredBy: ['0'] },
  { id: '1', status: 'Survived', static: true },
  { id: '2', status: 'Survived' },
].map((mutant) => ({ ...mutant, mutatorName: 'm', replacement: '', location }))

/** A folder with a memory of the file's mutants and their fates, for the test as it was. */
function remembering(source: string, tested: string) {
  const folder = mkdtempDisposableSync(join(tmpdir(), 'bailiwick-stryker-'))
  const tests = [{ id: '0', name: 'notices' }]
  const report = { files: { [path]: { source, mutants } }, testFiles: { [test]: { source: tested, tests } }, x: 1 }
  writeFileSync(memoryOf(folder.path, path), JSON.stringify(report))
  return folder
}
const ids = (folder: string) =>
  remembered(folder, path)?.mutants.map((mutant) => (mutant as unknown as { id: string }).id)

it('reports the fates of a file’s mutants, and whether the file has changed since', () => {
  using same = remembering(textOf(path), '')
  expect(remembered(same.path, path)).toMatchObject({ isChanged: false, mutants: { length: 3 } })
  expect(remembered(same.path, path)?.mutants[0]).toMatchObject({ fileName: path, status: 'Killed' })
  using other = remembering('another', '')
  expect(remembered(other.path, path)).toMatchObject({ isChanged: true })
  expect(remembered(other.path, test)).toBeUndefined()
})

it('forgets unnoticed mutants once a test has changed', () => {
  using same = remembering('', textOf(test))
  forgetUnnoticed(same.path, path, [test])
  expect(ids(same.path)).toEqual(['0', '1', '2'])
  forgetUnnoticed(same.path, path, [test, path]) // one more
  expect(ids(same.path)).toEqual(['0'])
  using other = remembering('', 'another')
  forgetUnnoticed(other.path, path, [test])
  expect(ids(other.path)).toEqual(['0'])
  forgetUnnoticed(other.path, test, [test]) // nothing is known of it
})

it('is combined for a run over several files and split again, without the detections of changed tests', () => {
  using folder = remembering('', textOf(test))
  const report = { files: { other: { source: 'o', mutants: [] } }, testFiles: { [test]: { source: 'old', tests: [] } } }
  writeFileSync(memoryOf(folder.path, 'other'), JSON.stringify(report))
  const all = join(folder.path, 'all.tmp')
  const read = (name: string) => JSON.parse(readFileSync(name, 'utf8'))
  gather(folder.path, [path, 'other', 'none'], all)
  const id = `${path} 0`
  expect(read(all)).toMatchObject({
    files: { [path]: { mutants: [{ killedBy: [id], coveredBy: [id] }, {}, {}] }, other: { source: 'o' } },
    testFiles: { [test]: { source: textOf(test), tests: [{ id, name: 'notices' }] } },
    x: 1,
  })
  scatter(folder.path, all)
  expect(ids(folder.path)).toEqual(['0', '1', '2'])
  expect(Object.keys(read(memoryOf(folder.path, 'other')).files)).toEqual(['other'])
  expect(() => read(all)).toThrow('ENOENT')
})
