import { globSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** A file by its path from the repository's root. */
export interface SourceFile {
  path: string
  text: string
}

/** One npm workspace: a package, a service, or a part of infra. */
export interface Workspace {
  /** `packages/bus` */
  path: string
  /** `@bailiwick/bus` */
  name: string
  /** Names of our own packages among its dependencies and devDependencies. */
  dependencies: string[]
  /** Paths, from the repository's root, of the projects that its tsconfig references. */
  references: string[]
}

/** The text of a file; `undefined` where there is none. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(join(ROOT, path), 'utf8')
  } catch {
    return undefined
  }
}

/** The files that match, without installed or built ones, sorted by path. */
export function filesAt(patterns: string[]): SourceFile[] {
  const exclude = (path: string) => /(^|\/)(node_modules|dist|coverage)(\/|$)/.test(path)
  const paths = globSync(patterns, { cwd: ROOT, exclude }).toSorted()
  return paths.map((path) => ({ path, text: readText(path) ?? '' }))
}

export function workspaces(): Workspace[] {
  return filesAt(['{packages,services,infra}/*/package.json']).map(({ path: file, text }) => {
    const path = file.slice(0, -'/package.json'.length)
    const manifest: { name: string; dependencies?: object; devDependencies?: object } = JSON.parse(text)
    const all = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies })
    const dependencies = all.filter((name) => name.startsWith('@bailiwick/'))
    return { path, name: manifest.name, dependencies, references: references(path) }
  })
}

/** The projects that `<folder>/tsconfig.json` references, as paths from the root. */
export function references(folder: string): string[] {
  const config: { references?: { path: string }[] } = JSON.parse(readText(join(folder, 'tsconfig.json')) ?? '{}')
  return (config.references ?? []).map(({ path }) => relative(ROOT, join(ROOT, folder, path)))
}
