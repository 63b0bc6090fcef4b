import { expect, it } from 'vitest'
import { UnderWay } from './under-way.ts'

it('lets each have so many under way, and says no to more until one has ended, however it ended (V18)', async () => {
  const underWay = new UnderWay(2)
  const held = [Promise.withResolvers<string>(), Promise.withResolvers<string>()] as const
  const running = held.map(({ promise }) => underWay.run('a', () => promise))
  let ran = 0
  const another = async () => ++ran
  const full = expect.objectContaining({ code: 'queue_full' })
  expect(() => underWay.requireRoom('a')).toThrow(full)
  await expect(underWay.run('a', another)).rejects.toEqual(full)
  expect(await underWay.run('b', another)).toBe(1)
  held[0].reject(new Error('it failed'))
  await expect(running[0]).rejects.toThrow('it failed')
  expect(await underWay.run('a', another)).toBe(2)
  await expect(underWay.run('a', () => Promise.reject(new Error('again')))).rejects.toThrow('again')
  expect(() => underWay.requireRoom('a')).not.toThrow()
  held[1].resolve('done')
  expect(await running[1]).toBe('done')
})
