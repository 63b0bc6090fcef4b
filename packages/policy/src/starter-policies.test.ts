import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { readPolicyFiles } from '@bailiwick/installation'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { cedarEngine } from './cedar-engine.ts'
import { parsePolicySet } from './policy-set.ts'

const directory = join(import.meta.dirname, '../../../policies')
const active = readPolicyFiles(directory)
const examples = globSync('examples/*.cedar', { cwd: directory }).sort()

interface Thing {
  type: string
  id: string
  properties: Record<string, unknown>
}
interface Case {
  name: string
  request: { subject: Thing; action: { name: string }; resource: Thing; context: Record<string, unknown> }
  expect: { decision: boolean; reasons: string[] }
}
const casesOf = (path: string): Case[] => parse(readFileSync(join(directory, path), 'utf8'), { merge: true })
const withExample = (path: string) => new Map([...active, [basename(path), readFileSync(join(directory, path))]])

/** The files of a set, and the cases that it must decide. */
const sets = [
  ...globSync('tests/*.yaml', { cwd: directory }).map((cases) => ({ cases, files: active })),
  ...examples.map((path) => {
    const cases = path.replace('examples/', 'examples/tests/').replace('.cedar', '.yaml')
    return { cases, files: withExample(path) }
  }),
]

describe.each(sets)('$cases', ({ cases, files }) => {
  const engine = cedarEngine(files)
  it.each(casesOf(cases))(
    '$name',
    ({ request: { subject, action, resource, context }, expect: { decision, reasons } }) => {
      const answer = engine.evaluate({
        principal: { type: subject.type, id: subject.id, attributes: subject.properties },
        action: action.name,
        resource: { type: resource.type, id: resource.id, attributes: resource.properties },
        context,
      })
      const outcome = decision ? 'allow' : 'deny'
      expect(answer).toMatchObject({ outcome, policies: expect.arrayContaining(reasons) })
      expect('policies' in answer && answer.policies).toHaveLength(reasons.length)
    },
  )
})

it('each starter policy and each example decides a case of its own', () => {
  const named = new Set(sets.flatMap(({ cases }) => casesOf(cases).flatMap((each) => each.expect.reasons)))
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
