import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { redisAddress } from './address.ts'

describe('an address of a Redis', () => {
  it.each([
    ['redis://localhost', { host: 'localhost', port: 6379, db: 0, tls: false, servername: 'localhost' }],
    ['redis://127.0.0.1:7000/', { name: '127.0.0.1:7000', host: '127.0.0.1', port: 7000, tls: false }],
    ['rediss://[::1]:7000/3', { name: '[::1]:7000', host: '::1', db: 3, tls: true }],
    ['rediss://u%40x:p%2Fw@redis.example', { username: 'u@x', password: 'p/w', servername: 'redis.example' }],
    ['redis://:only-a-password@h', { password: 'only-a-password' }],
  ])('%s is read', (text, wanted) => {
    expect(redisAddress(text)).toMatchObject(wanted)
  })

  it('names no server in numbers, which no certificate request does', () => {
    for (const text of ['rediss://127.0.0.1', 'rediss://[::1]']) expect(redisAddress(text).servername).toBeUndefined()
  })

  it.each([
    ['http://h'],
    ['redis:'],
    ['redis://'],
    ['redis://h/x'],
    ['redis://h/1/2'],
    ['redis://h/12345'],
    ['redis://h?family=6'],
    ['redis://h#x'],
    ['redis://h:70000'],
    ['redis://u:%zz@h'],
    ['h:6379'],
    [''],
  ])('%j is refused', (text) => {
    expect(() => redisAddress(text)).toThrow(expect.objectContaining({ code: 'config_invalid' }))
  })

  it('that is wrong is not repeated, since there may be a password in it (V17)', () => {
    const secret = 'c4n4ry'
    fc.assert(
      fc.property(fc.string(), fc.constantFrom('redis', 'rediss', 'http'), fc.string(), (before, protocol, after) => {
        try {
          redisAddress(`${protocol}://${before}:${secret}@${after}`)
        } catch (error) {
          expect(inspect(error, { depth: 9 })).not.toContain(secret)
        }
      }),
    )
  })
})
