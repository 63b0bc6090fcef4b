import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

export interface Manifest {
  name: string
  version: string
  exports?: Record<string, string>
  dependencies?: Record<string, string>
  peerDependencies?: Record<string, string>
  peerDependenciesMeta?: Record<string, { optional?: boolean }>
}

export interface Workspace {
  /** Its folder, from the repository's root. */
  readonly path: string
  readonly manifest: Manifest
}

/** Every workspace of the repository, by its name. */
export function workspacesIn(root: string): ReadonlyMap<string, Workspace> {
  const found = globSync('{packages,services,infra}/*/package.json', { cwd: root }).map((file): [string, Workspace] => {
    const manifest: Manifest = JSON.parse(readFileSync(join(root, file), 'utf8'))
    return [manifest.name, { path: dirname(file), manifest }]
  })
  return new Map(found)
}

/** The source file, from the root, that `@bailiwick/NAME` or `@bailiwick/NAME/ENTRY` stands for; undefined for any other package. */
export function sourceOf(workspaces: ReadonlyMap<string, Workspace>, specifier: string): string | undefined {
  const [scope, name, ...entry] = specifier.split('/')
  const workspace = workspaces.get(`${scope}/${name}`)
  if (workspace === undefined) return undefined
  const target = workspace.manifest.exports?.[entry.length === 0 ? '.' : `./${entry.join('/')}`]
  if (target === undefined) throw new Error(`${specifier}: ${workspace.path} has no such entry`)
  return join(workspace.path, target)
}

/** The name of the package that a specifier leads to: `@a/b/c` is in `@a/b`. */
export const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
