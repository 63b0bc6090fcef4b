import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ownCommand } from './own-command.ts'

const folder = mkdtempSync(join(tmpdir(), 'own-command-'))
const at = (...path: string[]) => join(folder, ...path)
const program = at('ours/bin/bailiwick.js')
const node = '/usr/bin/node'

beforeAll(() => {
  file('ours/bin/bailiwick.js')
  file('project/package.json')
  link('project/node_modules/.bin/bailiwick', program)
  mkdirSync(at('project/deep/er'), { recursive: true })
  file('project/other/package.json')
  file('strangers/bin/bailiwick')
  file('strangers/node_modules/.bin/bailiwick')
  link('global/bin/bailiwick', program)
  mkdirSync(at('elsewhere'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function file(name: string) {
  mkdirSync(dirname(at(name)), { recursive: true })
  writeFileSync(at(name), '{}')
}
function link(name: string, to: string) {
  mkdirSync(dirname(at(name)), { recursive: true })
  symlinkSync(to, at(name))
}

const absolute = `${node} ${program}`

it.each([
  ['where npx finds this program', 'project', [], 'npx bailiwick'],
  ['below it', 'project/deep/er', [], 'npx bailiwick'],
  ['in a package that does not have it', 'project/other', [], absolute],
  ['where npx finds another program', 'strangers', [], absolute],
  ['where npx finds none', 'elsewhere', [], absolute],
  ['with this program on the PATH', 'elsewhere', ['global/bin'], 'bailiwick'],
  ['with another program before it on the PATH', 'elsewhere', ['strangers/bin', 'global/bin'], absolute],
  ['with a folder of npm’s own on the PATH', 'elsewhere', ['project/node_modules/.bin'], absolute],
])('names a command that runs this program and no other, %s', (_, cwd, path, words) => {
  expect(ownCommand({ program, node, cwd: at(cwd), path: path.map((each) => at(each)).join(':') })).toBe(words)
})

it('quotes what a shell would take apart', () => {
  const odd = at("o'dd folder/bailiwick.js")
  file("o'dd folder/bailiwick.js")
  expect(ownCommand({ program: odd, node, cwd: at('elsewhere') })).toBe(`${node} '${odd.replace("'", "'\\''")}'`)
})
