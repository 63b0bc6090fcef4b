import { expect, it } from 'vitest'
import { LargeBodies } from './large-bodies.ts'

const mebibyte = 1024 * 1024

it('has room for four of the longest requests of one network, and for others beside them (V18)', () => {
  const bodies = new LargeBodies()
  const over = Array.from({ length: 4 }, () => bodies.take('a', 16 * mebibyte))
  expect(() => bodies.take('a', 2 * mebibyte)).toThrow('queue_full')
  // Usual requests are not counted, so that a flood of long ones keeps out no other call.
  bodies.take('a', mebibyte)
  bodies.take('b', 16 * mebibyte)
  for (const end of [...over, ...over]) end()
  for (let n = 0; n < 4; n++) bodies.take('a', 16 * mebibyte)
  expect(() => bodies.take('a', 2 * mebibyte)).toThrow('queue_full')
})

it('has room for sixteen of them from all networks together (V18)', () => {
  const bodies = new LargeBodies()
  for (let n = 0; n < 16; n++) bodies.take(String(n), 16 * mebibyte)
  expect(() => bodies.take('another', 2 * mebibyte)).toThrow('queue_full')
})
