import fc from 'fast-check'
import { expect, it } from 'vitest'
import { GatheredBytes } from './gathered-bytes.ts'

it('holds what was pushed, in one array, for parts of any length (V18)', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 3000 })), (parts) => {
      const gathered = new GatheredBytes()
      for (const part of parts) gathered.push(part)
      const whole = Buffer.concat(parts)
      expect([gathered.length, whole.equals(gathered.bytes())]).toEqual([whole.length, true])
    }),
  )
})

it('takes at most twice the length of what came', () => {
  const gathered = new GatheredBytes()
  for (let n = 0; n < 100_000; n++) gathered.push(Uint8Array.of(n % 256))
  expect(gathered.bytes().buffer.byteLength).toBeLessThanOrEqual(200_000)
})

it('shows no later part in what it showed before', () => {
  const gathered = new GatheredBytes()
  gathered.push(Uint8Array.of(1))
  const before = gathered.bytes()
  gathered.push(Uint8Array.of(2))
  expect([...before]).toEqual([1])
})
