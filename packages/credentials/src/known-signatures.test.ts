import { createPrivateKey, sign } from 'node:crypto'
import { expect, it, vi } from 'vitest'
import { exportPrivateKey, generateKey, publicKeyOf, verifyAside } from './keys.ts'
import { KnownSignatures } from './known-signatures.ts'

const data = Buffer.from('data')
/** A key, and a signature that another process made by it. */
function elsewhere() {
  const key = generateKey('pdp-event')
  const half = createPrivateKey({ key: { ...exportPrivateKey(key) }, format: 'jwk' })
  return { key: publicKeyOf(key), signature: sign('sha256', data, { key: half, dsaEncoding: 'ieee-p1363' }) }
}

it('has a valid signature from its first check, and one that was made here, and is asked before any check', async () => {
  const [has, add] = [vi.spyOn(KnownSignatures.prototype, 'has'), vi.spyOn(KnownSignatures.prototype, 'add')]
  const { key, signature } = elsewhere()
  expect([key.verify(data, signature), key.verify(data, signature)]).toEqual([true, true])
  expect(await verifyAside(key, data, signature)).toBe(true)
  expect([has.mock.results.map(({ value }) => value), add.mock.calls.length]).toEqual([[false, true, true], 1])
  const other = elsewhere()
  expect(await verifyAside(other.key, data, other.signature)).toBe(true)
  expect(other.key.verify(data, other.signature)).toBe(true)
  const own = generateKey('pdp-event')
  expect(publicKeyOf(own).verify(data, own.sign(data))).toBe(true)
  expect([has.mock.results.map(({ value }) => value).slice(3), add.mock.calls.length]).toEqual([[false, true, true], 3])
  vi.restoreAllMocks()
})

it('takes no valid signature for one of another key, over other bytes, or spelled in another way (V12)', async () => {
  const { key, signature } = elsewhere()
  expect(key.verify(data, signature)).toBe(true)
  const flipped = Buffer.from(signature)
  flipped[40] = (flipped[40] ?? 0) ^ 1
  for (let asked = 0; asked < 2; asked++) {
    expect(elsewhere().key.verify(data, signature)).toBe(false)
    expect(key.verify(Buffer.from('date'), signature)).toBe(false)
    for (const wrong of [flipped, Buffer.concat([signature, Buffer.alloc(1)]), signature.subarray(1)]) {
      expect(key.verify(data, wrong)).toBe(false)
      expect(await verifyAside(key, data, wrong)).toBe(false)
    }
  }
})

it('forgets the oldest, and keeps no more than it may (V18)', () => {
  const known = new KnownSignatures(2)
  const signatures = [1, 2, 3].map((n) => Buffer.alloc(64, n))
  for (const signature of signatures) known.add('kid', data, signature)
  expect(signatures.map((signature) => known.has('kid', data, signature))).toEqual([false, true, true])
})
