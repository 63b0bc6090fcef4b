import { type Arrived, whole } from '@bailiwick/relay/raw-server'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ApiAttacker } from './api-attacks.ts'
import { attackOver2 } from './http2-attacks.ts'

/*
 * An API whose answer HTTP does not have, or that HTTP/2 cannot carry. It must not end the gateway, which answers for all others, and it means
 * the same over both versions.
 */

const impossible: Record<string, string> = {
  ...Object.fromEntries(
    ['600', '700', '999', '000', '099'].map((status) => [status, whole('{}', '', `${status} Odd`)]),
  ),
  'two-digits': whole('{}', '', '20 Odd'),
  'four-digits': whole('{}', '', '2000 Odd'),
  'a-name-in-two-parts': whole('{}', 'x a: b\r\n'),
  'a-name-with-a-colon': whole('{}', ':status: 200\r\n'),
}
/** Each is sent on, without what only a connection of HTTP/1.1 has. */
const possible: Record<string, string> = {
  'http2-settings': whole('{}', 'http2-settings: AAMAAABkAAQAAP__\r\n'),
  upgrade: whole('{}', 'upgrade: h2c\r\n'),
  'proxy-connection': whole('{}', 'proxy-connection: close\r\n'),
  te: whole('{}', 'te: gzip\r\n'),
  'a-long-head': whole('{}', `x-a: ${'a'.repeat(15_000)}\r\n`),
  twice: whole('{}', 'content-location: /a\r\ncontent-location: /b\r\netag: "a"\r\netag: "b"\r\n'),
}
const answers: Record<string, string> = { ...impossible, ...possible }

let attacker: ApiAttacker
beforeAll(async () => {
  attacker = await ApiAttacker.open({
    answer({ target, socket }: Arrived) {
      const name = target.split('/').at(-1) ?? ''
      socket.write(answers[name] ?? whole('{}'), 'latin1')
    },
  })
})
afterAll(() => attacker?.[Symbol.asyncDispose]())

const asked = (name: string) => ({ target: `/http/plain/open/${name}`, path: `/http/plain/open/${name}` })

describe('an answer that HTTP does not have', () => {
  it.each(Object.keys(impossible))('is 502 over both versions: %s', async (name) => {
    const [one, two] = [await attacker.attack(asked(name)), await attackOver2(attacker, asked(name))]
    expect([one.status, one.code]).toEqual([502, 'upstream_failed'])
    expect([two.code, two.outcome.isWhole, two.outcome.isClosed]).toEqual(['upstream_failed', true, false])
  })

  it.each(Object.keys(possible))('is sent on over both versions without what HTTP/2 lacks: %s', async (name) => {
    const [one, two] = [await attacker.attack(asked(name)), await attackOver2(attacker, asked(name))]
    expect([one.status, one.body]).toEqual([200, '{}'])
    expect([two.isAnswered, two.outcome.body]).toEqual([true, '{}'])
  })
})
