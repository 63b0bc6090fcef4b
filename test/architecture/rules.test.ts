import { expect, it } from 'vitest'
import type { SourceFile } from './repository.ts'
import {
  codesInTable,
  crowdedFolders,
  decisionIndexProblems,
  invariantPageProblems,
  invariants,
  lengthProblems,
  provenProblems,
  readmeProblems,
  referenceProblems,
  unusedCodes,
} from './rules.ts'

// Each rule is broken once here: a rule that sees nothing is worse than no rule.

const file = (text: string, path = 'a.ts'): SourceFile => ({ path, text })
const page = (status: (name: string) => string) =>
  invariants.map((name) => `| ${name} | it holds | ${status(name)} |\n`).join('')

it('sees a missing and a superfluous reference', () => {
  const bus = { path: 'packages/bus', name: '@bailiwick/bus', dependencies: [], references: [] }
  const cli = { ...bus, path: 'packages/cli', name: '@bailiwick/cli' }
  expect(referenceProblems([bus, { ...cli, dependencies: ['@bailiwick/bus'], references: ['packages/bus'] }])).toEqual(
    [],
  )
  expect(referenceProblems([bus, { ...cli, dependencies: ['@bailiwick/bus'] }])).toEqual([
    'packages/cli/tsconfig.json: reference packages/bus is missing',
  ])
  expect(referenceProblems([bus, { ...cli, references: ['packages/bus'] }])).toEqual([
    'packages/cli/tsconfig.json: reference packages/bus is too much',
  ])
  expect(
    referenceProblems([
      bus,
      { ...cli, dependencies: ['@bailiwick/bus'], references: ['packages/bus', 'packages/bus'] },
    ]),
  ).toEqual(['packages/cli/tsconfig.json: reference packages/bus is too much'])
  expect(referenceProblems([{ ...cli, dependencies: ['@bailiwick/gone'] }])).toEqual([
    'packages/cli/tsconfig.json: reference @bailiwick/gone is missing',
  ])
})

it('counts lines as wc does', () => {
  expect(lengthProblems([file('x\n'.repeat(500))])).toEqual([])
  expect(lengthProblems([file('x\n'.repeat(501))])).toEqual(['a.ts has 501 lines'])
})

it('sees a folder with more than 15 source files, and counts no tests and nothing of its subfolders', () => {
  const sources = (folder: string, count: number, end = '.ts') =>
    Array.from({ length: count }, (_, n) => file('', `${folder}/f${n}${end}`))
  expect(crowdedFolders([...sources('a', 15), ...sources('a', 9, '.test.ts'), ...sources('a/b', 15)])).toEqual([])
  expect(crowdedFolders([...sources('a', 15), ...sources('a/b', 16), ...sources('a', 9, '.fixture.ts')])).toEqual([
    'a/b has 16 source files',
  ])
})

it('reads codes from a table, and finds those that no source names', () => {
  const codes = codesInTable('| Code | Status |\n| --- | --- |\n| `grant_unknown` | 404 |\n| `rate_limited` | 429 |\n')
  expect(codes).toEqual(['grant_unknown', 'rate_limited'])
  expect(unusedCodes(codes, [file("throw new ServiceError('grant_unknown')"), file('rate_limited: yes')])).toEqual([
    'rate_limited',
  ])
})

it('sees an invariant missing on the page, one that does not exist, and a meaningless status', () => {
  expect(invariantPageProblems(page(() => 'tested'))).toEqual([])
  expect(invariantPageProblems(page(() => 'not yet: issue 5'))).toEqual([])
  expect(invariantPageProblems('')).toHaveLength(18)
  expect(invariantPageProblems(`${page(() => 'tested')}| **V19** | more | tested |\n`)).toEqual([
    'docs/explain/invariants.md: row V19 is too much',
  ])
  expect(invariantPageProblems(page((name) => (name === 'V3' ? 'soon' : 'tested')))).toEqual([
    'V3 is neither "tested" nor "not yet …", but "soon"',
  ])
})

it('sees an invariant marked as tested that is in no test’s name, or has fewer than two patches', () => {
  const tested = page((name) => (name === 'V9' ? 'tested' : 'not yet'))
  const test = file("it('is never overspent (V9, V10)', () => {})")
  const patch = file('V9: takes without looking.\n\ndiff --git a/x b/x\n')
  expect(provenProblems(tested, [test], [patch, patch])).toEqual([])
  const nameless = [
    file('// it says (V9)\n * (V9)\nit("V9 holds", f(V9))'),
    file("it('adds up (V10)')"),
    file("it('(V99)')"),
  ]
  expect(provenProblems(tested, nameless, [patch, patch])).toEqual(["V9 is in no test's name"])
  const patchless = [file('V90, V10\ndiff --git a/x b/x\n+ V9'), file('says nothing\n--- a/V9\n')]
  const tooFew = ['V9 has fewer than 2 patches in test/mutants/']
  expect(provenProblems(tested, [test], patchless)).toEqual(tooFew)
  expect(provenProblems(tested, [test], [...patchless, patch])).toEqual(tooFew)
})

it('sees a README that is missing, too long, or lacks a section', () => {
  const readme = '# x\n\n## Job\n\n## Reads and writes\n\n## Trusts\n\n## When it is down\n\n## Run it alone\n'
  expect(readmeProblems('README.md', readme)).toEqual([])
  expect(readmeProblems('README.md', undefined)).toEqual(['README.md is missing'])
  expect(readmeProblems('README.md', readme + '\n'.repeat(80))).toEqual(['README.md has 91 lines'])
  expect(readmeProblems('README.md', readme.replace('## Trusts\n', ''))).toHaveLength(1)
})

it('sees a decision that the index lacks, misnames, invents or misplaces', () => {
  const pages = [file('# 1. One\n', 'docs/decisions/0001-one.md'), file('# 2. Two `x`\n', 'docs/decisions/0002-two.md')]
  const [one, two] = [
    '| 1 | [One](0001-one.md) | says one | in force |',
    '| 2 | [Two `x`](0002-two.md) | says two | in force |',
  ]
  const problems = (...rows: string[]) =>
    decisionIndexProblems(`# Decisions\n\n| | |\n|--:|---|\n${rows.join('\n')}\n`, pages)
  expect(problems(one, two)).toEqual([])
  expect(problems(one)).toHaveLength(1)
  expect(problems(one, two, two)).toHaveLength(1)
  expect(problems(one, two, '| 3 | [Three](0003-three.md) | | |')).toHaveLength(1)
  expect(problems(one, two.replace('Two', 'Three'))).toHaveLength(2)
  expect(problems(one, two.replace('0002-two', '0002-deux'))).toHaveLength(2)
  expect(problems(two, one)).toEqual(['docs/decisions/README.md is out of order'])
})
