import { testClock } from '@bailiwick/kit'
import { Heads } from '@bailiwick/projection'
import { expect, it } from 'vitest'
import type { Issuer } from '../context.ts'
import { whenApplied } from './applied.ts'

/** An issuer that has revoked once, and has heard these instances say how far they are. */
function anIssuer(heard: readonly { producer: string; offset: number; agoMs?: number; stopping?: boolean }[]) {
  const clock = testClock()
  const heads = new Heads()
  const now = clock.now()
  for (const { producer, offset, agoMs = 0, stopping = false } of heard) {
    const [, service] = producer.split('/')
    const counted = { 'revocations.v1': { '0': { offset, id: 'evt' } } }
    const data = { service, producer, active: false, stopping, sequence: 0, hash: '', counted, read: {} }
    const hearing = { kid: 'key', takenAt: now, now, monotonic: clock.monotonic() - agoMs, succeeds: () => false }
    heads.apply({ data, time: new Date(now).toISOString() } as never, hearing)
  }
  const projection = { heads, revokedUpTo: 0, until: async (check: () => unknown) => check() }
  return { clock, projection } as unknown as Issuer
}

it('waits for each live service that judges by revocations, and names those that do not apply it (V7)', async () => {
  const issuer = anIssuer([
    { producer: '/approval/one', offset: 0 },
    { producer: '/evidence/one', offset: -1 },
    { producer: '/policy-decision/behind', offset: -1 },
    { producer: '/policy-decision/gone', offset: -1, agoMs: 3000 },
    { producer: '/policy-decision/leaving', offset: -1, stopping: true },
  ])
  expect(await whenApplied(issuer, 1)).toEqual([
    { service: 'approval', producer: '/approval/one', ms: 0 },
    { service: 'policy-decision', producer: '/policy-decision/behind', ms: null },
  ])
})

it('counts the instances beyond those it can list as unconfirmed (V7)', async () => {
  const many = Array.from({ length: 1001 }, (_, n) => ({ producer: `/policy-decision/${n}`, offset: 0 }))
  const applied = await whenApplied(anIssuer(many), 1)
  expect(applied.filter(({ ms }) => ms === null)).toEqual([
    { service: 'policy-decision', producer: '/policy-decision/*', ms: null },
  ])
  expect(applied).toHaveLength(1001)
  const evidence = Array.from({ length: 1001 }, (_, n) => ({ producer: `/evidence/${n}`, offset: -1 }))
  expect(await whenApplied(anIssuer(evidence), 1)).toEqual([])
})
