import { expect, it } from 'vitest'
import type { Channel } from '../servers/channel.ts'
import { withSource } from '../servers/channel.ts'
import { endsSomething, notify } from './notifications.ts'

const request = { method: 'POST', target: '', headers: [], body: Buffer.from('{}') }

async function* forever(): AsyncGenerator<Uint8Array> {
  for (;;) yield Buffer.from(': x\n\n')
}

it('gives up what a server answers to a notification', async () => {
  let givenUp = 0
  const answer = (status: number) => ({
    status,
    headers: ['content-type', 'text/event-stream'],
    body: withSource(forever(), () => {
      givenUp++
    }),
  })
  const channel = (status: number) => ({ exchange: async () => answer(status) }) as unknown as Channel
  const { status, headers, body } = await notify(channel(200), request, new AbortController().signal)
  expect([status, headers, givenUp]).toEqual([202, [], 1])
  expect(await Array.fromAsync(body)).toEqual([])
  expect((await notify(channel(400), request, new AbortController().signal)).status).toBe(400)
})

it('does not count what ends or answers something', () => {
  const told = (method: string) => ({ kind: 'notification', method, params: {} }) as const
  expect(endsSomething(told('notifications/cancelled'))).toBe(true)
  expect(endsSomething(told('notifications/progress'))).toBe(false)
})
