import { appendFileSync, cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { paths, policySetOf, readPolicyFiles } from '@bailiwick/installation'
import type { RegistryState } from '@bailiwick/projection'
import { logger } from '@bailiwick/service-kit'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { activePolicies } from './policies.ts'

const source = join(import.meta.dirname, '../../../policies')
const silent = logger({ service: 'test', level: 'silent' })
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
  expect(activePolicies(data, named(set), silent).current()?.hash).toBe(set.hash)
})

it('loads nothing that differs from what was approved by one byte (V13)', () => {
  appendFileSync(join(paths(data).policies(set.hash), 'starter.cedar'), '\n')
  expect(activePolicies(data, named(set), silent).current()).toBeUndefined()
})

it('loads nothing while the registry names no set, or one that is not here (V13)', () => {
  expect(activePolicies(data, named(undefined), silent).current()).toBeUndefined()
  expect(activePolicies(data, named({ ...set, hash: 'A'.repeat(43) }), silent).current()).toBeUndefined()
})

it('goes to the next set with the registry, and never back by itself', () => {
  const registry = { policySet: set } as { policySet: RegistryState['policySet'] }
  const policies = activePolicies(data, registry as RegistryState, silent)
  expect(policies.current()?.hash).toBe(set.hash)
  registry.policySet = { ...set, hash: 'A'.repeat(43) }
  expect(policies.current()).toBeUndefined()
})
