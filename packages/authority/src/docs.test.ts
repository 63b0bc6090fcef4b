import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { covers } from './covers.ts'
import { parseAuthority } from './parse-authority.ts'

const page = readFileSync(join(import.meta.dirname, '../../../docs/reference/authority.md'), 'utf8')
const blocks = [...page.matchAll(/^```(json authority|text calls)\n([\s\S]*?)^```/gm)]

let authority: ReturnType<typeof read> | undefined
const read = (text: string) => {
  const parsed = parseAuthority(JSON.parse(text))
  if (!parsed.ok) throw new Error(`the page shows an authority that is refused: ${JSON.stringify(parsed)}`)
  return parsed.authority
}
const calls = blocks.flatMap(([, kind, text = '']) => {
  if (kind === 'json authority') {
    authority = read(text)
    return []
  }
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const [, name = '', id = '', properties = '', result = ''] = /^(\S+) (\S+) (\{.*\}) +(\w+)$/.exec(line) ?? []
      return {
        line: line.replaceAll(/ +/g, ' '),
        authority,
        name,
        id,
        properties: JSON.parse(properties) as unknown,
        result,
      }
    })
})

it('shows authorities and calls', () => {
  expect(calls.length).toBeGreaterThan(20)
})

it.each(calls)('the page is right: $line', ({ authority, name, id, properties, result }) => {
  if (authority === undefined) throw new Error('no authority stands before the calls')
  const type = authority.permissions[0]?.resource.type ?? ''
  const coverage = covers(authority, { name, properties, resource: { type, id } })
  expect(coverage.covered ? 'allowed' : coverage.reason).toBe(result)
})
