// Makes `npm start` and `npm test` enough on a fresh machine: installs what package-lock.json says when node_modules
// holds something else, builds the console when its sources changed, and puts the Node this repository is written for at node_modules/.bin/node, where npm scripts
// look first. It must run on any Node that came with npm: no dependency, no new syntax.
// What is installed is compared with package-lock.json itself, so that a change of our own packages installs nothing, nor does a
// checkout whose node_modules is a copy of another's.
// `--stamp` only records an install that npm made by itself (the `dependencies` script in package.json).
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { buildConsole } from './build-console.mjs'

const OLDEST_NODE = 24 // the first that runs the sources: type stripping and `await using`
const NODE = 'node_modules/.bin/node'
const STAMP = 'node_modules/.installed'
const platform = `${process.platform}-${process.arch}`

process.chdir(fileURLToPath(new URL('..', import.meta.url)))

const lock = createHash('sha256').update(readFileSync('package-lock.json')).update(platform).digest('hex')
const stamp = existsSync(STAMP) ? readFileSync(STAMP, 'utf8') : undefined
// Without a stamp an installation may have stopped halfway.
const installed = stamp === lock || (stamp !== undefined && isAsLocked())

if (!installed && process.argv[2] !== '--stamp') {
  install(process.env.npm_node_execpath || process.execPath)
  provideNode()
  // npm leaves out optional packages that refuse the Node it runs on (rolldown refuses 18): once more, on ours.
  if (version(process.version) < 20.19) install(NODE)
}
if (!installed || !existsSync(NODE)) provideNode()
if (stamp !== lock) {
  rmSync(STAMP, { force: true }) // another checkout may have the same file by a hard link
  writeFileSync(STAMP, lock)
}
if (process.argv[2] !== '--stamp') buildConsole(NODE)

/** Whether npm's record of what it installed names the packages of package-lock.json, and no others. */
function isAsLocked() {
  try {
    const wanted = packagesIn('package-lock.json')
    const there = packagesIn('node_modules/.package-lock.json')
    return Object.keys(Object.assign({}, wanted, there)).every((path) => {
      const [a, b] = [wanted[path], there[path]]
      if (a === undefined) return false
      if (b === undefined) return a.optional === true && !isForThisMachine(a)
      return a.version === b.version && a.integrity === b.integrity && a.resolved === b.resolved
    })
  } catch (_) {
    return false
  }
}

/** What stands in a node_modules: packages of others, and the links to our own. */
function packagesIn(file) {
  const { packages } = JSON.parse(readFileSync(file, 'utf8'))
  const inside = Object.entries(packages).filter(([path]) => path.includes('node_modules/'))
  return Object.fromEntries(inside)
}

/** npm leaves out an optional package for another machine, and what only that one needs. */
function isForThisMachine({ os, cpu, libc }) {
  if (os === undefined && cpu === undefined) return false
  const takes = (list, mine) => list === undefined || list.includes(mine)
  return takes(os, process.platform) && takes(cpu, process.arch) && takes(libc, 'glibc')
}

function install(node) {
  console.error('Installing dependencies: package-lock.json is new here, or has changed …')
  const args = [
    'ci',
    '--ignore-scripts',
    '--include=dev',
    '--include=optional',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ]
  const npm = process.env.npm_execpath // npm's own entry file; npm sets it for the scripts it runs
  const stdio = ['ignore', 2, 2]
  const { status, error } = npm ? spawnSync(node, [npm, ...args], { stdio }) : spawnSync('npm', args, { stdio })
  if (status !== 0) fail(`npm ci failed: ${error ? error.message : `exit ${status}`}`)
}

function provideNode() {
  if (run(NODE).status === 0) return
  rmSync(NODE, { force: true })
  // Older npm (10.9, 11.5) makes no link when several optional packages offer the same bin name.
  const bundled = ['node', 'node-bin']
    .map((name) => `../${name}-${platform}/bin/node`)
    .find((path) => existsSync(`node_modules/.bin/${path}`))
  const { status, stderr } = bundled ? run(`node_modules/.bin/${bundled}`) : {}
  if (status === 0) return symlinkSync(bundled, NODE)
  if (version(process.version) >= OLDEST_NODE) return symlinkSync(process.execPath, NODE)
  fail(
    `${bundled ? `The bundled Node.js does not run here: ${(stderr || 'not for this system').trim()}` : `There is no bundled Node.js for ${platform}.`}\n` +
      `The one on this machine, ${process.version}, is too old.\n` +
      (/libatomic/.test(stderr)
        ? 'Install the library (Debian, Ubuntu: libatomic1; Fedora: libatomic), then run the same command again.'
        : `Install Node.js ${OLDEST_NODE} or later (CI runs 26), then run the same command again.`),
  )
}

function run(node) {
  return spawnSync(node, ['--version'], { encoding: 'utf8' })
}

function version(text) {
  const [, major, minor] = /^v(\d+)\.(\d+)/.exec(text)
  return Number(`${major}.${minor.padStart(2, '0')}`)
}

function fail(message) {
  console.error(message)
  process.exit(1)
}
