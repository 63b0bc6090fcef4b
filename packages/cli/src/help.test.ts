import { seededRandom, testClock } from '@bailiwick/kit'
import type { Command } from 'commander'
import { expect, it } from 'vitest'
import { examples, roles } from './help.ts'
import type { Io } from './io.ts'
import { bailiwickProgram } from './run.ts'

const io: Io = { out: () => undefined, err: () => undefined, env: {}, clock: testClock(), random: seededRandom(1) }
const program = bailiwickProgram(io, () => undefined)

const shown = [...commandsBelow(program)].filter(({ command }) =>
  command.commands.every((each) => each.name() === 'help'),
)

function* commandsBelow(parent: Command, path: readonly string[] = []): Generator<{ path: string; command: Command }> {
  for (const command of parent.commands) {
    const names = [...path, command.name()]
    yield { path: names.join(' '), command }
    yield* commandsBelow(command, names)
  }
}

function helpOf(path: string): string {
  const command = [...commandsBelow(program)].find((each) => each.path === path)?.command
  let text = ''
  command?.configureOutput({ writeOut: (part) => (text += part) }).outputHelp()
  return text
}

it('shows every command under the heading of who uses it', () => {
  const named = roles.flatMap(([, names]) => names)
  expect(program.commands.map((command) => command.name()).sort()).toEqual([...named].sort())
  const text = program.helpInformation()
  for (const [heading] of roles) expect(text).toContain(heading)
})

it('shows an example of every command that can be run', () => {
  const named = Object.keys(examples)
  for (const { path } of shown) expect(named).toContain(path)
  for (const path of named) expect(helpOf(path), path).toContain('Example')
})

it.each(Object.entries(examples).flatMap(([path, lines]) => lines.map((words) => [path, words] as const)))(
  'the example has what the command needs, and nothing that it does not know: %s %s',
  (path, words) => {
    const text = helpOf(path)
    expect(text).toContain(`  bailiwick ${`${path} ${words}`.trimEnd()}`)
    const required = [...text.matchAll(/^ +(--[a-z-]+) .*\(required\)/gm)].map(([, option]) => option)
    for (const option of required) expect(words).toContain(option)
    // The options of `bench` belong to the program that it starts.
    if (path === 'bench') return
    for (const [option] of words.matchAll(/(?<= |^)--[a-z-]+/g))
      expect(text).toMatch(new RegExp(`^ +${option}\\b`, 'm'))
  },
)

it('marks an option that a command cannot do without', () => {
  expect(helpOf('agents join-token')).toMatch(/--instance <name> {2}\(required\)/)
})
