import type { RevocationKind } from '@bailiwick/contracts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { anEvent } from './events.fixture.ts'
import { type Lineage, RevocationState } from './revocation-state.ts'

const agent = 'spiffe://d/agent/x'
const lineage: Lineage = {
  credential: 'crd_1',
  delegations: ['dlg_1'],
  grants: ['grt_root', 'grt_1'],
  agents: [`${agent}/one`],
  approvers: ['fiona'],
  toolServers: ['erp'],
  asOf: 2,
}
const declared = (version: number, kind: RevocationKind, target: string) =>
  anEvent('revocations.v1', 'revocation.declared', { about: 'revocations', version, data: { kind, target } })

/** All these revocations, with versions from 1 on in this order. */
function revoked(...targets: [RevocationKind, string][]): RevocationState {
  const state = new RevocationState({ base: false })
  targets.forEach(([kind, target], n) => {
    expect(state.apply(declared(n + 1, kind, target))).toBe('counts')
  })
  return state
}
const noise: [RevocationKind, string] = ['agent', 'spiffe://d/agent/somebody-else']

describe('kinds that kill by name (V7)', () => {
  it.each<[RevocationKind, string]>([
    ['credential', 'crd_1'],
    ['delegation', 'dlg_1'],
    ['grant', 'grt_root'],
    ['grant', 'grt_1'],
  ])('%s %s is dead for good, even if its approvers knew of the revocation', (kind, target) => {
    const state = revoked([kind, target], noise, [kind, target])
    expect(state.kills({ ...lineage, asOf: 1_000_000 })).toMatchObject({ kind, target, version: 1 })
    expect(state.find(kind, target)?.version).toBe(1)
  })

  it('does not mistake one kind of name for another', () => {
    const state = revoked(['credential', 'grt_1'], ['delegation', 'crd_1'], ['grant', 'dlg_1'], ['approver', 'erp'])
    expect(state.kills({ ...lineage, asOf: 0 })).toBeUndefined()
  })

  it('a credential that is not named cannot be dead by name', () => {
    const { credential: _, ...none } = lineage
    expect(revoked(['credential', 'undefined'], ['credential', 'crd_1']).kills(none)).toBeUndefined()
  })
})

describe('kinds that kill what matches (V7)', () => {
  const kinds: [RevocationKind, string][] = [
    ['agent', agent],
    ['agent', `${agent}/one`],
    ['approver', 'fiona'],
    ['tool-server', 'erp'],
    ['all', '*'],
    ['all', 'everything, misspelled'],
  ]
  it.each(kinds)('%s %s kills what was approved before it, and leaves what was approved since', (kind, target) => {
    const state = revoked(noise, noise, [kind, target])
    expect(state.kills({ ...lineage, asOf: 2 })).toMatchObject({ kind, version: 3 })
    expect(state.kills({ ...lineage, asOf: 3 })).toBeUndefined()
    expect(state.kills({ ...lineage, asOf: 4 })).toBeUndefined()
  })

  it.each(kinds)('%s %s said again reaches what was approved in between', (kind, target) => {
    const state = revoked([kind, target], noise, [kind, target])
    expect(state.kills({ ...lineage, asOf: 2 })).toMatchObject({ kind, version: 3 })
    expect(state.kills({ ...lineage, asOf: 3 })).toBeUndefined()
  })

  it('all kills what was shown before it, though that claims to know of it: it is of a history that was lost', () => {
    const state = revoked(['all', '*'])
    const { declaredAt = Number.NaN } = state.find('all', '*') ?? {}
    const shown = (shownAt: number) => state.kills({ ...lineage, asOf: 1, shownAt })
    expect(shown(declaredAt - 60_000)).toMatchObject({ kind: 'all', version: 1 })
    expect(state.kills({ ...lineage, asOf: 9, shownAt: declaredAt - 3_600_000 })).toMatchObject({ kind: 'all' })
    expect(shown(declaredAt - 1000)).toBeUndefined() // clocks may differ by this much
    expect(shown(declaredAt)).toBeUndefined()
    const others = revoked(['agent', agent], ['approver', 'fiona'])
    expect(others.kills({ ...lineage, asOf: 2, shownAt: declaredAt - 3_600_000 })).toBeUndefined()
  })

  it.each([`${agent}/two`, 'spiffe://d/agent', 'spiffe://d/agent/xx', `${agent}/one/deeper`, `${agent}/`])(
    '%s is not the agent, and not its instance',
    (target) => {
      expect(revoked(noise, noise, ['agent', target]).kills({ ...lineage, agents: [`${agent}/one`] })).toEqual(
        // The path above all agents is not an agent. The parent of an instance is its agent only.
        undefined,
      )
    },
  )

  it('an agent anywhere in the chain is enough', () => {
    const chain = { ...lineage, agents: ['spiffe://d/agent/child/1', `${agent}/one`] }
    for (const target of ['spiffe://d/agent/child', agent])
      expect(revoked(noise, noise, ['agent', target]).kills(chain)).toMatchObject({ target })
  })
})

it('has one dense sequence: what skips, repeats or goes back is void', () => {
  const state = new RevocationState({ base: false })
  expect(state.sequence).toBe(0)
  expect(state.apply(declared(2, 'grant', 'grt_1'))).toBe('void')
  expect(state.apply(declared(1, 'grant', 'grt_2'))).toBe('counts')
  expect(state.apply(declared(1, 'grant', 'grt_1'))).toBe('void')
  expect(state.apply(declared(3, 'grant', 'grt_1'))).toBe('void')
  expect(state.sequence).toBe(1)
  expect(state.kills(lineage)).toBeUndefined()
})

it('a reader that starts inside goes on from the first that it meets', () => {
  const state = new RevocationState({ base: true })
  expect(state.apply(declared(41, 'agent', agent))).toBe('counts')
  expect(state.apply(declared(43, 'approver', 'fiona'))).toBe('void')
  expect(state.apply(declared(42, 'approver', 'fiona'))).toBe('counts')
  expect(state.sequence).toBe(42)
})

const targets: Record<RevocationKind, string[]> = {
  credential: ['crd_1', 'crd_2'],
  delegation: ['dlg_1', 'dlg_2'],
  grant: ['grt_1', 'grt_2'],
  agent: [agent, `${agent}/one`, `${agent}/two`, 'spiffe://d/agent/y'],
  approver: ['fiona', 'frank'],
  'tool-server': ['erp', 'crm'],
  all: ['*'],
}
const someRevocation = fc.oneof(
  ...Object.entries(targets).map(([kind, all]) =>
    fc.constantFrom(...all).map((target): [RevocationKind, string] => [kind as RevocationKind, target]),
  ),
)
const someLineage: fc.Arbitrary<Lineage> = fc.record({
  credential: fc.constantFrom(...targets.credential),
  delegations: fc.subarray(targets.delegation),
  grants: fc.subarray(targets.grant),
  agents: fc.subarray([`${agent}/one`, `${agent}/two`, 'spiffe://d/agent/y/1']),
  approvers: fc.subarray(targets.approver),
  toolServers: fc.subarray(targets['tool-server']),
  asOf: fc.integer({ min: 0, max: 13 }),
})

/** The rule of DESIGN §7.3, applied literally to every revocation there ever was. */
function naivelyDead(all: readonly [RevocationKind, string][], of: Lineage): boolean {
  return all.some(([kind, target], n) => {
    if (kind === 'credential') return of.credential === target
    if (kind === 'delegation') return of.delegations.includes(target)
    if (kind === 'grant') return of.grants.includes(target)
    if (of.asOf >= n + 1) return false
    if (kind === 'agent') return of.agents.some((id) => id === target || id.replace(/\/[^/]*$/, '') === target)
    if (kind === 'approver') return of.approvers.includes(target)
    return kind === 'all' || of.toolServers.includes(target)
  })
}

it('kills what a reading of every revocation there was kills, and nothing else (V7)', () => {
  fc.assert(
    fc.property(fc.array(someRevocation, { maxLength: 12 }), someLineage, (all, of) => {
      expect(revoked(...all).kills(of) !== undefined).toBe(naivelyDead(all, of))
    }),
    { numRuns: 500 },
  )
})

it('what is dead stays dead under every later event, counting or void (V7)', () => {
  const later = fc.tuple(someRevocation, fc.integer({ min: 1, max: 20 }))
  fc.assert(
    fc.property(
      fc.array(someRevocation, { minLength: 1, maxLength: 8 }),
      fc.array(later),
      someLineage,
      (all, more, of) => {
        const state = revoked(...all)
        if (state.kills(of) === undefined) return
        for (const [[kind, target], version] of more) {
          state.apply(declared(version, kind, target))
          expect(state.kills(of)).toBeDefined()
        }
      },
    ),
    { numRuns: 300 },
  )
})
