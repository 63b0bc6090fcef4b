import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { bailiwick } from './io.fixture.ts'

const page = readFileSync(join(import.meta.dirname, '../../../docs/reference/cli.md'), 'utf8')
const shown = [...page.matchAll(/^\$ npx bailiwick (.*)$/gm)].map(([, words = '']) => words)

/** The number of words that name a command in these groups. */
const depths: Record<string, number> = { agent: 2, registry: 2, agents: 2, kafka: 3, policy: 2 }

it.each(shown)('the page shows a command and options that there are: %s', async (words) => {
  const [first = '', ...more] = words.split(' ')
  const names = [first, ...more].slice(0, depths[first] ?? 1)
  const help = await bailiwick([...names, '--help'])
  expect(help.code).toBe(0)
  expect(help.out).toContain(`bailiwick ${names.join(' ')}`) // for an unknown command a group shows its own help
  for (const [option] of words.matchAll(/(?<= )--[a-z-]+/g)) expect(help.out).toContain(option)
})

it('the page names every command', async () => {
  const { out } = await bailiwick(['--help'])
  const names = [...out.matchAll(/^ {2}([a-z]+) .*/gm)].map(([, name = '']) => name).filter((name) => name !== 'help')
  expect(names.length).toBeGreaterThan(8)
  for (const name of names) expect(page).toMatch(new RegExp(`^\\| \`${name}\\b`, 'm'))
})
