import { setTimeout as pause } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { Installation, keyDraft, keys, revocation, signed, standing } from './installation.fixture.ts'
import { verifiedAhead } from './verified-ahead.ts'

it('answers for each message in order, and is never more than 64 ahead', async () => {
  const asked: number[] = []
  const settle: ((isVerified: boolean) => void)[] = []
  const verifyAhead = ({ 0: n = 0 }: Uint8Array) => {
    asked.push(n)
    return new Promise<boolean>((resolve) => settle.push(resolve))
  }
  const next = verifiedAhead(
    { verifyAhead },
    Array.from({ length: 100 }, (_, n) => ({ bytes: Uint8Array.of(n) })),
  )
  const first = next()
  expect(asked).toHaveLength(64)
  for (const [n, each] of settle.entries()) each(n % 3 !== 0)
  expect(await first).toBe(false)
  const second = next()
  expect(asked).toHaveLength(65)
  expect(await second).toBe(true)
  expect(asked).toEqual(Array.from({ length: 65 }, (_, n) => n))
})

it('changes no verdict: a reader that catches up refuses and counts as a reader that took one event after the other (V12)', async () => {
  await using installation = await Installation.open()
  const { projection, refusals, keyRing } = await installation.reader(['revocations.v1'])
  const producer = installation.producer(projection)
  await producer.publish('registry.v1', [keyDraft('issuer'), keyDraft('approval')])
  await producer.publish(
    'revocations.v1',
    Array.from({ length: 200 }, (_, n) => revocation(n + 1)),
  )
  const { bus } = installation
  const messages = await standing(bus, 'revocations.v1', 200)
  // In between: signatures that do not verify, and one by a key that is certified for another topic.
  const at = new Map<number, Uint8Array>()
  for (const n of [3, 90, 91, 150]) {
    const bytes = Buffer.from(messages[n]?.bytes ?? [])
    bytes.writeUInt8(bytes.readUInt8(bytes.indexOf('rev_') + 10) ^ 1, bytes.indexOf('rev_') + 10)
    at.set(n, bytes)
  }
  for (const bytes of at.values()) await bus.publish('revocations.v1', [{ key: 'revocations', bytes }])
  const foreign = JSON.parse(Buffer.from(messages[10]?.bytes ?? []).toString())
  await bus.publish('revocations.v1', [signed({ ...foreign, id: 'evt_00000000000000009999' }, keys.approval)])
  await producer.publish('revocations.v1', [revocation(201)])
  const late = await installation.reader(['revocations.v1'])
  while (projection.ledger.revocations.sequence < 201) await pause(5)
  expect(refusals).toHaveLength(5)
  expect(late.refusals).toEqual(refusals)
  expect(late.projection.ledger.revocations.sequence).toBe(201)
  expect(late.projection.positions()['revocations.v1']).toEqual(projection.positions()['revocations.v1'])
  expect(await late.keyRing.verifyAhead(messages[5]?.bytes ?? new Uint8Array())).toBe(true)
  expect(await keyRing.verifyAhead(at.get(3) ?? new Uint8Array())).toBe(false)
})
