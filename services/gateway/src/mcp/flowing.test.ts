import { expect, it } from 'vitest'
import { Flowing } from './flowing.ts'

const streamed = (body: AsyncIterable<Uint8Array>) => async () => ({ status: 200, headers: [], body })
const aBody = async function* () {
  yield Buffer.from('one')
  yield Buffer.from('two')
}

/** Whether `over` has resolved after everything that is due. */
async function isOver(flowing: Flowing): Promise<() => boolean> {
  let over = false
  void flowing.over(60_000).then(() => {
    over = true
  })
  await new Promise(setImmediate)
  return () => over
}

it('is over at once if nothing flows, and after a whole answer', async () => {
  const flowing = new Flowing()
  await flowing.of('a', async () => ({ status: 200, headers: [], body: Buffer.from('whole') }))
  expect((await isOver(flowing))()).toBe(true)
})

it.each<[string, (body: AsyncIterable<Uint8Array>) => Promise<void>]>([
  [
    'was read',
    async (body) => {
      for await (const _ of body);
    },
  ],
  [
    'was given up',
    async (body) => {
      for await (const _ of body) break
    },
  ],
])('is over once each answer %s', async (_, read) => {
  const flowing = new Flowing()
  const [one, two] = [await flowing.of('a', streamed(aBody())), await flowing.of('b', streamed(aBody()))]
  const over = await isOver(flowing)
  await read(one.body as AsyncIterable<Uint8Array>)
  await new Promise(setImmediate)
  expect(over()).toBe(false)
  await read(two.body as AsyncIterable<Uint8Array>)
  await new Promise(setImmediate)
  expect(over()).toBe(true)
})

it('is over once an answer broke, was never made, or took too long', async () => {
  const flowing = new Flowing()
  const breaks = async function* () {
    yield Buffer.from('one')
    throw new Error('broken')
  }
  const { body } = await flowing.of('a', streamed(breaks()))
  const parts = (body as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]()
  expect((await parts.next()).done).toBe(false)
  await expect(parts.next()).rejects.toThrow('broken')
  await expect(
    flowing.of('a', async () => {
      throw new Error('not made')
    }),
  ).rejects.toThrow('not made')
  expect((await isOver(flowing))()).toBe(true)
  await flowing.of('a', streamed(aBody()))
  await flowing.over(1)
})

it('says which owner has none any more', async () => {
  const flowing = new Flowing()
  const idle: string[] = []
  flowing.onIdle = (owner) => idle.push(owner)
  const bodies = [
    await flowing.of('a', streamed(aBody())),
    await flowing.of('a', streamed(aBody())),
    await flowing.of('b', streamed(aBody())),
  ].map(({ body }) => body as AsyncIterable<Uint8Array>)
  for (const [n, body] of bodies.entries()) {
    expect([flowing.has('a'), flowing.has('b'), idle]).toEqual([n < 2, true, n < 2 ? [] : ['a']])
    for await (const _ of body);
  }
  expect([flowing.has('b'), idle]).toEqual([false, ['a', 'b']])
})
