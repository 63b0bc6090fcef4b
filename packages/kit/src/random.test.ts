import { expect, it } from 'vitest'
import { systemRandom } from './random.ts'

it('gives as many bytes as asked for, however much of what was drawn is left', () => {
  for (let round = 0; round < 100; round++)
    for (const n of [0, 1, 10, 16, 17, 32, 5000]) expect(systemRandom(n)).toHaveLength(n)
})

it('gives nothing twice, and gives no caller bytes of another', () => {
  const given = Array.from({ length: 2000 }, (_, n) => systemRandom(n % 2 ? 10 : 16))
  expect(new Set(given.map((bytes) => Buffer.from(bytes).toString('hex'))).size).toBe(given.length)
  // No bytes may be the zeros that replace bytes already given out. By chance, 10 zero bytes come once in 2^80.
  for (const bytes of given) expect(bytes.every((byte) => byte === 0)).toBe(false)
  for (const { buffer, byteLength } of given) expect(buffer.byteLength).toBe(byteLength)
})
