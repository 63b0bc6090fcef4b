import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { bailiwick } from './io.fixture.ts'

const page = readFileSync(join(import.meta.dirname, '../../../docs/operations/cli.md'), 'utf8')
const shown = [...page.matchAll(/^\$ npx bailiwick (.*)$/gm)].map(([, words = '']) => words)

it.each(shown)('the page shows a command and options that there are: %s', async (words) => {
  const [first = '', second = ''] = words.split(' ')
  const help = await bailiwick([first, ...(first === 'registry' ? [second] : []), '--help'])
  expect(help.code).toBe(0)
  for (const [option] of words.matchAll(/(?<= )--[a-z-]+/g)) expect(help.out).toContain(option)
})

it('the page names every command', async () => {
  const { out } = await bailiwick(['--help'])
  const names = [...out.matchAll(/^ {2}([a-z]+) .*/gm)].map(([, name = '']) => name).filter((name) => name !== 'help')
  expect(names.length).toBeGreaterThan(8)
  for (const name of names) expect(page).toMatch(new RegExp(`^\\| \`${name}\\b`, 'm'))
})
