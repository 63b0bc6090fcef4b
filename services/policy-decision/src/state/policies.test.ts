import { appendFileSync, cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { logger } from '@bailiwick/host'
import { paths, policySetOf, readPolicyFiles, storePolicyFiles } from '@bailiwick/installation'
import { testClock } from '@bailiwick/kit'
import type { RegistryState } from '@bailiwick/projection'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { activePolicies } from './policies.ts'

const source = join(import.meta.dirname, '../../../../policies')
const silent = logger({ service: 'test', level: 'silent' })
const clock = testClock()
const set = policySetOf(readPolicyFiles(source))
const named = (policySet: RegistryState['policySet']) => ({ policySet }) as RegistryState

let data: string
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'policies-test-'))
  mkdirSync(dirname(paths(data).policies(set.hash)), { recursive: true })
  cpSync(source, paths(data).policies(set.hash), { recursive: true })
})
afterEach(() => rmSync(data, { recursive: true, force: true }))

it('loads the set that the registry names by its hash', () => {
  expect(activePolicies(data, named(set), silent, clock).current()?.hash).toBe(set.hash)
})

it('loads nothing that differs from what was approved by one byte (V13)', () => {
  appendFileSync(join(paths(data).policies(set.hash), 'starter.cedar'), '\n')
  expect(activePolicies(data, named(set), silent, clock).current()).toBeUndefined()
})

it('loads nothing while the registry names no set, or one that is not here (V13)', () => {
  expect(activePolicies(data, named(undefined), silent, clock).current()).toBeUndefined()
  expect(activePolicies(data, named({ ...set, hash: 'A'.repeat(43) }), silent, clock).current()).toBeUndefined()
})

it.each([
  ['context.history.agent.calls > 1', true],
  ['context.history.owner.labels.contains("reads_private")', true],
  ['context.history.task.calls > 1', false],
])('knows whether what was done in other tasks must be read first: %s (V8)', (condition, isRead) => {
  const files = readPolicyFiles(source)
  const reading = new Map([...files].filter(([name]) => !name.endsWith('.cedar') && !name.startsWith('tests/')))
  const text = `@id("all") permit (principal, action, resource); @id("x") forbid (principal, action, resource) when { ${condition} };`
  reading.set('x.cedar', Buffer.from(text))
  const other = policySetOf(reading)
  storePolicyFiles(paths(data).policies(other.hash), reading)
  expect(activePolicies(data, named(other), silent, clock).current()?.readsAgentHistory).toBe(isRead)
})

it('goes to the next set with the registry, and never back by itself', () => {
  const registry = { policySet: set } as { policySet: RegistryState['policySet'] }
  const policies = activePolicies(data, registry as RegistryState, silent, clock)
  expect(policies.current()?.hash).toBe(set.hash)
  registry.policySet = { ...set, hash: 'A'.repeat(43) }
  expect(policies.current()).toBeUndefined()
})

it('loads a set that permits nothing only where approvers signed that it is meant (V13)', () => {
  const files = readPolicyFiles(source)
  const denying = new Map([...files].filter(([name]) => !name.endsWith('.cedar')))
  denying.set('none.cedar', Buffer.from('@id("none") forbid (principal, action, resource);'))
  const nothing = policySetOf(denying)
  storePolicyFiles(paths(data).policies(nothing.hash), denying)
  const registry = { policySet: nothing } as { policySet: RegistryState['policySet'] }
  const policies = activePolicies(data, registry as RegistryState, silent, clock)
  expect(policies.current()).toBeUndefined()
  registry.policySet = { ...nothing, permits_nothing: true }
  expect(policies.current()?.hash).toBe(nothing.hash)
  registry.policySet = nothing
  expect(policies.current()).toBeUndefined()
})

it('finds the files that come after the registry, once they are whole, and nothing else in their place', () => {
  const folder = paths(data).policies(set.hash)
  rmSync(folder, { recursive: true })
  const policies = activePolicies(data, named(set), silent, clock)
  const after = (ms: number) => {
    clock.advance(ms)
    return policies.current()?.hash
  }
  expect([after(0), after(1000)]).toEqual([undefined, undefined])
  cpSync(source, folder, { recursive: true })
  rmSync(join(folder, 'starter.cedar'))
  expect(after(1000)).toBeUndefined()
  cpSync(join(source, 'starter.cedar'), join(folder, 'starter.cedar'))
  expect([after(999), after(1)]).toEqual([undefined, set.hash])
  rmSync(folder, { recursive: true })
  expect(after(10_000)).toBe(set.hash)
})

it('does not try again what can never be loaded', () => {
  const folder = paths(data).policies(set.hash)
  appendFileSync(join(folder, 'starter.cedar'), 'no policy')
  const broken = policySetOf(readPolicyFiles(folder))
  cpSync(folder, paths(data).policies(broken.hash), { recursive: true })
  const told: unknown[] = []
  const telling = { ...silent, error: (said: unknown) => told.push(said) } as unknown as typeof silent
  const policies = activePolicies(data, named(broken), telling, clock)
  for (let n = 0; n < 3; n++) {
    expect(policies.current()).toBeUndefined()
    clock.advance(5000)
  }
  expect(told).toHaveLength(1)
})
