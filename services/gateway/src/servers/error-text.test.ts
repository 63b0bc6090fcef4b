import { expect, it } from 'vitest'
import { errorText } from './error-text.ts'

const secret = 'sk-0123456789abcdef'

function said(...parts: string[]): string[] {
  const texts: string[] = []
  const write = errorText([secret], (text) => texts.push(text))
  for (const part of parts) write(part)
  return texts
}
const withheld = 'It wrote one of its secrets. The rest is not logged.'

it.each<[string, string[], string[]]>([
  ['at once', [`token=${secret}\n`, 'later'], [withheld]],
  ['in two parts', ['using sk-01234', '56789abcdef\n', 'later'], ['using ', withheld]],
  ['in base64', [`Basic ${Buffer.from(`user:${secret}`).toString('base64')}`], [withheld]],
  ['character by character', [...secret], [withheld]],
])('logs nothing more of a server that writes its secret %s (V17)', (_, parts, logged) => {
  expect(said(...parts)).toEqual(logged)
})

it('logs everything else, also what only begins like a secret', () => {
  expect(said('listening\n', 'mode: sk-0123', ' is no secret\n').join('')).toBe(
    'listening\nmode: sk-0123 is no secret\n',
  )
})
