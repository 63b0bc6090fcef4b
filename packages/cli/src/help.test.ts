import { expect, it } from 'vitest'
import { examples, roles } from './help.ts'
import { bailiwick } from './io.fixture.ts'

const help = async (path: string) => (await bailiwick([...path.split(' ').filter(Boolean), '--help'])).out
/** The commands that a help text lists. */
const listed = (text: string) =>
  [...text.matchAll(/^ {2}([a-z][a-z-]*)(?: [[<]| {2}|$)/gm)]
    .map(([, name = '']) => name)
    .filter((name) => name !== 'help')

async function leaves(path = ''): Promise<string[]> {
  const below = listed(
    (await help(path)).replace(/^[\s\S]*?(Commands:|You write)/, '$1').replace(/\nExamples?:[\s\S]*$/, ''),
  )
  const names = below.map((name) => `${path} ${name}`.trim())
  if (path !== '' && names.length === 0) return [path]
  const found = await Promise.all(names.map(leaves))
  return [...(examples[path] === undefined ? [] : [path]), ...found.flat()]
}

it('shows every command under the heading of who uses it', async () => {
  const text = await help('')
  const named = roles.flatMap(([, names]) => names)
  expect(listed(text).sort()).toEqual([...named].sort())
  for (const [heading] of roles) expect(text).toContain(heading)
})

it('shows an example of every command', async () => {
  expect((await leaves()).sort()).toEqual(Object.keys(examples).sort())
})

it.each(Object.entries(examples).flatMap(([path, lines]) => lines.map((words) => [path, words] as const)))(
  'the example has what the command needs, and nothing that it does not know: %s %s',
  async (path, words) => {
    const text = await help(path)
    expect(text).toContain(`  bailiwick ${`${path} ${words}`.trimEnd()}`)
    for (const [option] of words.matchAll(/(?<= |^)--[a-z-]+/g))
      expect(text).toMatch(new RegExp(`^ +${option}\\b`, 'm'))
    const required = [...text.matchAll(/^ +(--[a-z-]+) .*\(required\)/gm)].map(([, option]) => option)
    for (const option of required) expect(words).toContain(option)
  },
)

it('marks an option that a command cannot do without', async () => {
  expect(await help('agents join-token')).toMatch(/--instance <name> {2}\(required\)/)
})
