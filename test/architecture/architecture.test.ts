import { errorKinds } from '@bailiwick/errors'
import { describe, expect, it } from 'vitest'
import { filesAt, readText, references, workspaces } from './repository.ts'
import {
  codesInTable,
  crowdedFolders,
  difference,
  invariantPageProblems,
  lengthProblems,
  provenProblems,
  readmeProblems,
  referenceProblems,
  unusedCodes,
} from './rules.ts'

const generated = /(^|\/)(generated|vectors)\//

describe('the compiler', () => {
  it('knows each dependency between packages, and no other', () => {
    expect(referenceProblems(workspaces())).toEqual([])
  })

  it('builds every workspace, and the tests, from the root', () => {
    const wanted = [...workspaces().map(({ path }) => path), 'test']
    expect(difference('tsconfig.json: reference', wanted, references('.'))).toEqual([])
  })
})

it('no source file is over 500 lines', () => {
  const files = filesAt([
    '{packages,services,scripts,test,lint}/**/*.{ts,tsx,mjs,js,lua,cedar,css,html}',
    'clients/**/*.py',
    '*.{ts,mjs}',
  ])
  expect(files.length).toBeGreaterThan(50)
  expect(lengthProblems(files.filter(({ path }) => !generated.test(path)))).toEqual([])
})

it('no folder of a service has more than 15 source files', () => {
  const files = filesAt(['services/*/src/**/*.{ts,tsx}'])
  expect(files.length).toBeGreaterThan(50)
  expect(crowdedFolders(files)).toEqual([])
})

it('docs/reference/errors.md lists every error code, and no other', async ({ annotate }) => {
  const codes = Object.keys(errorKinds)
  const listed = codesInTable(readText('docs/reference/errors.md') ?? '')
  expect(difference('docs/reference/errors.md: code', codes, listed)).toEqual([])

  const sources = filesAt(['{packages,services}/*/src/**/*.ts']).filter(
    ({ path }) => !/\.test\.ts$|\.contract\.ts$/.test(path) && !path.startsWith('packages/errors/src/kinds/'),
  )
  const unused = unusedCodes(codes, sources)
  if (unused.length > 0) await annotate(`no source uses ${unused.join(', ')}`, 'warning')
})

describe('the invariants', () => {
  const page = readText('docs/explain/invariants.md') ?? ''

  it('are all in docs/explain/invariants.md, each with its status', () => {
    expect(invariantPageProblems(page)).toEqual([])
  })

  it('that are marked as tested are in a test’s name, and have two patches that break them', () => {
    const tests = filesAt(['{packages,services}/*/src/**/*.{test,contract}.ts', 'test/**/*.test.ts'])
    const patches = filesAt(['test/mutants/**/*.patch'])
    const others = tests.filter(({ path }) => !path.startsWith('test/architecture/'))
    expect(provenProblems(page, others, patches)).toEqual([])
  })
})

it.each(workspaces().filter(({ path }) => path.startsWith('services/')))('$path has a README', ({ path }) => {
  expect(readmeProblems(`${path}/README.md`, readText(`${path}/README.md`))).toEqual([])
})
