// Builds the web console (packages/console, with packages/tlog in it) when its sources, or what it is built with, are others
// than last time: a hash of both stands beside the result. Times of files say nothing after a checkout.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = join(root, 'packages/console')
const stamp = join(folder, 'dist/.built')

const sources = () => {
  const files = ['src', '../tlog/src'].flatMap((at) =>
    readdirSync(join(folder, at), { recursive: true }).map((name) => join(at, name)),
  )
  const all = ['index.html', 'package.json', 'tsconfig.json', 'vite.config.ts', ...files].sort()
  const hash = createHash('sha256').update(readFileSync(join(root, 'package-lock.json')))
  for (const name of all) if (/\.\w+$/.test(name)) hash.update(name).update(readFileSync(join(folder, name)))
  return hash.digest('hex')
}

/** `node`: the Node to build with, where the one that runs this is too old. */
export function buildConsole(node = process.execPath) {
  const now = sources()
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === now) return
  console.error('Building the console: its sources are new here, or have changed …')
  const vite = join(root, 'node_modules/vite/bin/vite.js')
  const { status, error } = spawnSync(resolve(root, node), [vite, 'build', '--logLevel', 'error'], {
    cwd: folder,
    env: { ...process.env, NODE_ENV: 'production' }, // under a test runner it would be React's development build
    stdio: ['ignore', 2, 2],
  })
  if (status !== 0) throw new Error(`the console could not be built: ${error ? error.message : `exit ${status}`}`)
  writeFileSync(stamp, now)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) buildConsole()
