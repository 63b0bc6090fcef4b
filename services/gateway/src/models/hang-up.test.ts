import { after } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { hangUp, readOn } from './hang-up.ts'

it.each([[false], [true]])('says later that the client has gone (before the call: %s)', async (before) => {
  const client = new AbortController()
  if (before) client.abort()
  using waiting = hangUp(client.signal, 50)
  client.abort()
  expect(waiting.late.aborted).toBe(false)
  await expect.poll(() => waiting.late.aborted).toBe(true)
})

it('says nothing once the answer is over', async () => {
  const client = new AbortController()
  const waiting = hangUp(client.signal, 10)
  client.abort()
  waiting[Symbol.dispose]()
  await after(50)
  expect(waiting.late.aborted).toBe(false)
})

it('reads the rest of what its reader gave up', async () => {
  let isOver = false
  const parts = async function* () {
    for (const text of ['a', 'b', 'c']) yield Buffer.from(text)
    isOver = true
  }
  for await (const part of readOn(parts())) {
    expect(String(part)).toBe('a')
    break
  }
  await expect.poll(() => isOver).toBe(true)
})

it('an answer that breaks off after its reader left disturbs no one', async () => {
  const parts = async function* () {
    yield Buffer.from('a')
    throw new Error('upstream_failed')
  }
  for await (const _ of readOn(parts())) break
  await after(10)
})
