import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** One atomic step on the server, called by the hash of its text. */
export interface Script {
  lua: string
  sha: string
}

/** The dependencies of each step: the functions of these files precede its own text. */
const run = ['run']
const tree = ['run', 'tree']

/** By method. The number in a file's name is the number of its keys. */
export const scripts = {
  epoch: script('epoch-1', run),
  adopt: script('adopt-1', run),
  refill: script('refill-3', tree),
  reset: script('reset-3', tree),
  get: script('get-2', run),
  advance: script('advance-3', tree),
  settle: script('settle-3', tree),
  remember: script('remember-2', run),
  count: script('count-1', []),
}

function script(name: string, standsOn: readonly string[]): Script {
  const lua = [...standsOn, name].map(read).join('\n')
  return { lua, sha: hash('sha1', lua, 'hex') }
}

function read(name: string): string {
  return readFileSync(join(import.meta.dirname, 'lua', `${name}.lua`), 'utf8')
}
