import type { Grant, RevocationKind } from '@bailiwick/contracts'
import { exampleEvent } from '@bailiwick/contracts/examples'
import { expect, it } from 'vitest'
import { anEvent, at, idOf, noon } from './events.fixture.ts'
import { Ledger } from './ledger.ts'

const hourMs = 3_600_000
const { grant: example } = exampleEvent('grants.v1', 'grant.created').data as { grant: Grant }
/** A grant that lives until eight hours after noon. */
const living: Grant = { ...example, id: idOf('grt', 'living'), not_before: at(0), not_after: at(8 * hourMs) }

async function aLedger(...revoked: [RevocationKind, string][]): Promise<Ledger> {
  const ledger = new Ledger({ judge: async () => true, base: true })
  const told = { about: living.id, time: at(0) }
  await ledger.apply(
    'grants.v1',
    anEvent('grants.v1', 'grant.created', { ...told, version: 1, data: { grant: living } }),
  )
  const delegation_id = idOf('dlg', 'redeemed')
  const data = { delegation_id, grant_id: living.id }
  await ledger.apply('grants.v1', anEvent('grants.v1', 'delegation.redeemed', { ...told, version: 2, data }))
  for (const [n, [kind, target]] of revoked.entries()) {
    const data = { revocation_id: idOf('rev', n + 1), kind, target }
    const event = { about: 'revocations', version: n + 1, time: at(n), data }
    expect(await ledger.apply('revocations.v1', anEvent('revocations.v1', 'revocation.declared', event))).toBe('counts')
  }
  return ledger
}

const named: [RevocationKind, string][] = [
  ['grant', living.id],
  ['delegation', idOf('dlg', 'redeemed')],
  ['delegation', idOf('dlg', 'never redeemed')],
  ['credential', idOf('crd', 1)],
]
const found = ({ revocations }: Ledger, all: readonly [RevocationKind, string][]) =>
  all.filter(([kind, target]) => revocations.find(kind, target) !== undefined)

it('what was revoked by name is known for as long as anything of that name could live, and then forgotten (V7)', async () => {
  const ledger = await aLedger(...named)
  // Revoked at noon, under a grant of eight hours. Services forget an hour after its end; nothing may be missing even then.
  for (const ms of [0, 8 * hourMs, 9 * hourMs]) {
    ledger.forgetEndedBefore(noon + ms)
    expect(found(ledger, named)).toEqual(named)
  }
  ledger.forgetEndedBefore(noon + 9 * hourMs + named.length)
  expect(found(ledger, named)).toEqual([])
  expect(ledger.revocations.sequenceOf(idOf('rev', 1))).toBeUndefined()
  expect(ledger.revocations.sequence).toBe(named.length)
})

it('what is still known is dead for as long, however far ahead a clock was (V7)', async () => {
  const ledger = await aLedger(...named)
  const longer = { ...living, id: idOf('grt', 'longer'), not_after: at(100 * hourMs) }
  const told = { about: longer.id, version: 1, time: at(0), data: { grant: longer } }
  await ledger.apply('grants.v1', anEvent('grants.v1', 'grant.created', told))
  const data = { revocation_id: idOf('rev', 'last'), kind: 'grant' as const, target: longer.id }
  const event = { about: 'revocations', version: named.length + 1, time: at(5), data }
  await ledger.apply('revocations.v1', anEvent('revocations.v1', 'revocation.declared', event))
  ledger.forgetEndedBefore(noon + 99 * hourMs)
  expect(found(ledger, [...named, ['grant', longer.id]])).toEqual([['grant', longer.id]])
})

it('what kills all that matches, and what was ordered by an id of its own, is kept for ever (V7)', async () => {
  const matching: [RevocationKind, string][] = [
    ['agent', 'spiffe://d/agent/x'],
    ['approver', 'fiona'],
    ['tool-server', 'erp'],
    ['all', '*'],
  ]
  const ledger = await aLedger(['credential', idOf('crd', 1)], ...matching)
  ledger.forgetEndedBefore(noon + 100_000 * hourMs)
  expect(found(ledger, matching)).toEqual(matching)
  expect(ledger.revocations.sequenceOf(idOf('rev', 2))).toBe(2)
})
