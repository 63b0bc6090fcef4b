import { posix } from 'node:path'

/** An entry of package-lock.json (version 3), as far as it is used here. */
export interface LockEntry {
  name?: string
  version?: string
  link?: boolean
  resolved?: string
  dependencies?: Record<string, string>
  devDependencies?: Record<string, string>
  optionalDependencies?: Record<string, string>
  peerDependencies?: Record<string, string>
  os?: string[]
  cpu?: string[]
}

export interface Lock {
  packages: Record<string, LockEntry>
}

export interface ImagePackage {
  name: string
  version: string
}

/** Packages that build the console, and of which nothing is served. */
const buildsConsole = (name: string) => name === 'vite' || name.startsWith('@types/')

/**
 * Every npm package whose code the image has, ours among them: what the Dockerfile's first stage installs, and what the second stage
 * puts into the console's files.
 */
export function imagePackages(dockerfile: string, lock: Lock): ImagePackage[] {
  const [installed = '', console = ''] = dockerfile.split(/^FROM .*$/m).slice(1)
  const served = workspacesIn(console).flatMap((workspace) =>
    Object.keys(lock.packages[workspace]?.devDependencies ?? {})
      .filter((name) => !buildsConsole(name))
      .map((name) => resolve(lock, workspace, name)),
  )
  const found = new Set<string>()
  const open = [...workspacesIn(installed), ...workspacesIn(console), ...served]
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (found.has(at)) continue
    const entry = entryAt(lock, at)
    if (!runsOnLinux(entry)) continue
    found.add(at)
    open.push(...Object.keys(entry.dependencies ?? {}).map((name) => resolve(lock, at, name)))
    // npm installs a peer and an optional package where the lock file has it.
    const perhaps = { ...entry.optionalDependencies, ...entry.peerDependencies }
    for (const name of Object.keys(perhaps)) {
      const path = find(lock, at, name)
      if (path !== undefined && !entryIsForTests(lock, path)) open.push(path)
    }
  }
  return [...found]
    .map((path) => ({ name: nameOf(lock, path), version: entryAt(lock, path).version ?? '' }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

const workspacesIn = (stage: string) => [...stage.matchAll(/--workspace (\S+)/g)].map(([, path = '']) => path)

const runsOnLinux = ({ os = ['linux'], cpu = ['x64'] }: LockEntry) =>
  os.includes('linux') && (cpu.includes('x64') || cpu.includes('arm64'))

/** An optional peer that the lock file has for development alone. */
const entryIsForTests = (lock: Lock, path: string) => 'dev' in entryAt(lock, path)

function entryAt(lock: Lock, path: string): LockEntry {
  const entry = lock.packages[path]
  if (entry === undefined) throw new Error(`package-lock.json has no ${path}`)
  return entry
}

const nameOf = (lock: Lock, path: string) => lock.packages[path]?.name ?? path.replace(/^(.*\/)?node_modules\//, '')

function resolve(lock: Lock, from: string, name: string): string {
  const path = find(lock, from, name)
  if (path === undefined) throw new Error(`package-lock.json has no ${name} for ${from}`)
  return path
}

/** As Node looks for it: in the folders `node_modules` from here upwards. */
function find({ packages }: Lock, from: string, name: string): string | undefined {
  for (let folder = from; ; folder = posix.dirname(folder)) {
    const path = posix.join(folder === '.' ? '' : folder, 'node_modules', name)
    const entry = packages[path]
    if (entry?.link) return entry.resolved
    if (entry !== undefined) return path
    if (folder === '.' || folder === '') return undefined
  }
}
