import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type PolicyFiles, readPolicyFiles } from '@bailiwick/installation'
import { describe, expect, it } from 'vitest'
import { cedarEngine } from './cedar-engine.ts'
import { loadPolicySet, parsePolicySet } from './policy-set.ts'
import { readPolicyTests, testPolicies } from './policy-tests.ts'

const directory = join(import.meta.dirname, '../../../policies')
const active = readPolicyFiles(directory)
const examples = globSync('examples/*.cedar', { cwd: directory }).sort()

const withExample = (path: string): PolicyFiles =>
  new Map([...active, [basename(path), readFileSync(join(directory, path))]])
const ofExamples = Map.groupBy(readPolicyTests(join(directory, 'examples')), ({ file }) => file)

/** The files of a set, and the tests that it must pass. */
const sets = [
  { name: 'the starter set', tests: readPolicyTests(directory), files: active },
  ...examples.map((path) => {
    const name = basename(path, '.cedar')
    return { name, tests: ofExamples.get(`tests/${name}.yaml`) ?? [], files: withExample(path) }
  }),
]

describe.each(sets)('$name', ({ tests, files }) => {
  const set = loadPolicySet(files)
  it.each(tests)('$file: $name', (test) => {
    // Each test names the policies that decide: otherwise any denial would pass.
    expect(test.expect.reasons).toBeDefined()
    expect(testPolicies(set, [test])).toEqual([{ test }])
  })
})

it('each starter policy and each example decides a test of its own', () => {
  const named = new Set(sets.flatMap(({ tests }) => tests.flatMap((each) => each.expect.reasons ?? [])))
  const all = [active, ...examples.map(withExample)].flatMap((files) => [...parsePolicySet(files).policies.keys()])
  expect(new Set(all)).toEqual(named)
})

it('the examples load together, and are not part of the active set', () => {
  const all = new Map([
    ...active,
    ...examples.map((path) => [basename(path), readFileSync(join(directory, path))] as const),
  ])
  expect(() => cedarEngine(all)).not.toThrow()
  expect([...active.keys()]).toEqual(['least-privilege.cedar', 'schema.cedarschema', 'starter.cedar'])
})
