import { execFileSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'

const script = 'scripts/ensure-installed.mjs'
const locked = {
  '': { name: 'root' },
  'packages/own': { version: '0.1.0', dependencies: { left: '1.0.0' } },
  'node_modules/own': { resolved: 'packages/own', link: true },
  'node_modules/left': { version: '1.0.0', integrity: 'sha512-left' },
  'node_modules/for-plan9': { version: '1.0.0', optional: true, os: ['plan9'] },
  'node_modules/for-us': { version: '1.0.0', optional: true, os: [process.platform], cpu: [process.arch] },
}
type Packages = Record<string, object>

let root = ''
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'bailiwick-installed-'))
  for (const folder of ['scripts', 'node_modules/.bin']) mkdirSync(join(root, folder), { recursive: true })
  cpSync(join(import.meta.dirname, '../..', script), join(root, script))
  writeFileSync(join(root, 'scripts/build-console.mjs'), 'export const buildConsole = () => undefined\n')
  symlinkSync(process.execPath, join(root, 'node_modules/.bin/node'))
  writeFileSync(join(root, 'npm.cjs'), "require('node:fs').writeFileSync('npm-ran', process.argv.slice(2).join(' '))\n")
})
afterEach(() => rmSync(root, { recursive: true }))

const file = (path: string) => join(root, path)
const write = (path: string, packages: Packages) => writeFileSync(file(path), JSON.stringify({ packages }))

/** Whether the script calls npm for this package-lock.json when npm recorded `there`. */
function installs(wanted: Packages, there: Packages): boolean {
  write('package-lock.json', wanted)
  write('node_modules/.package-lock.json', there)
  rmSync(file('npm-ran'), { force: true })
  execFileSync(process.execPath, [file(script)], {
    env: { ...process.env, npm_execpath: file('npm.cjs') },
    stdio: 'pipe',
  })
  return existsSync(file('npm-ran'))
}

const { '': _root, 'packages/own': _own, 'node_modules/for-plan9': _others, ...there } = locked

it('installs once where no stamp says that an installation ended', () => {
  expect(installs(locked, there)).toBe(true)
  expect(installs(locked, {})).toBe(false)
})

it('installs nothing where the third-party packages match package-lock.json, and leaves a linked checkout’s stamp alone', () => {
  writeFileSync(file('node_modules/.installed'), 'of an earlier package-lock.json')
  linkSync(file('node_modules/.installed'), file('of-another-checkout'))
  expect(installs(locked, there)).toBe(false)
  expect(readFileSync(file('of-another-checkout'), 'utf8')).toBe('of an earlier package-lock.json')
  expect(readFileSync(file('node_modules/.installed'), 'utf8')).toMatch(/^[0-9a-f]{64}$/)
})

const { 'node_modules/for-us': _us, ...withoutOurs } = there
const { 'node_modules/own': _link, ...withoutLink } = there
it.each<[string, Packages]>([
  ['another version', { ...there, 'node_modules/left': { version: '1.0.1', integrity: 'sha512-left' } }],
  ['other bytes', { ...there, 'node_modules/left': { version: '1.0.0', integrity: 'sha512-right' } }],
  ['a package too many', { ...there, 'node_modules/right': { version: '1.0.0' } }],
  ['an optional package of this machine too few', withoutOurs],
  ['a package of our own too few', withoutLink],
])('installs where there is %s', (_, found) => {
  writeFileSync(file('node_modules/.installed'), 'of an earlier package-lock.json')
  expect(installs(locked, found)).toBe(true)
})
