// Builds the web console (packages/console, with packages/tlog in it) when its sources, or what it is built with, are others
// than last time: a hash of both stands beside the result. Times of files say nothing after a checkout.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync, gzipSync } from 'node:zlib'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = join(root, 'packages/console')
const stamp = join(folder, 'dist/.built')

const sources = () => {
  const files = ['src', '../tlog/src'].flatMap((at) =>
    readdirSync(join(folder, at), { recursive: true }).map((name) => join(at, name)),
  )
  const all = ['index.html', 'package.json', 'tsconfig.json', 'vite.config.ts', ...files].sort()
  const hash = createHash('sha256').update(readFileSync(join(root, 'package-lock.json')))
  hash.update(readFileSync(fileURLToPath(import.meta.url)))
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
  compress(join(folder, 'dist/assets'))
  writeFileSync(stamp, now)
}

/** Compresses once, as small as it gets. The server sends these files as they are, and compresses nothing itself. */
function compress(assets) {
  for (const name of readdirSync(assets)) {
    const bytes = readFileSync(join(assets, name))
    writeFileSync(join(assets, `${name}.br`), brotliCompressSync(bytes))
    writeFileSync(join(assets, `${name}.gz`), gzipSync(bytes, { level: 9 }))
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) buildConsole()
