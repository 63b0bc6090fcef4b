import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { type Ended, Program, run } from './programs.ts'

const root = join(import.meta.dirname, '../..')
const locked: Record<string, { version: string }> = JSON.parse(
  readFileSync(join(root, 'package-lock.json'), 'utf8'),
).packages

/** The versions that this repository has: what a range allows besides them may be of today, and broken. */
export const asLocked = (...names: string[]): Record<string, string> =>
  Object.fromEntries(names.map((name) => [name, locked[`node_modules/${name}`]?.version ?? `${name} is not locked`]))

/** The releases of Node.js that the packages are for, besides the one that runs this. */
const releases: Readonly<Record<number, string>> = { 20: '20.20.2', 22: '22.23.5', 24: '24.22.3' }
export const ownRelease = Number(process.versions.node.split('.')[0])

/** The Node.js of this release: npm has it as a package, which is kept for the next run. */
export async function nodeOf(release: number): Promise<string> {
  if (release === ownRelease) return process.execPath
  const name = `node-${process.platform}-${process.arch}`
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'bailiwick', `node-${releases[release]}`)
  const found = join(folder, 'node_modules', name, 'bin/node')
  if (existsSync(found)) return found
  const fresh = `${folder}.new`
  rmSync(fresh, { recursive: true, force: true })
  mkdirSync(fresh, { recursive: true })
  writeFileSync(join(fresh, 'package.json'), '{}')
  await succeeds(
    run('npm', ['install', '--ignore-scripts', '--no-audit', `${name}@${releases[release]}`], { cwd: fresh }),
  )
  rmSync(folder, { recursive: true, force: true })
  renameSync(fresh, folder)
  return found
}

/** A project of a user: packages that npm installed, and files, on one Node.js. */
export class Project {
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  static async install(folder: string, dependencies: Record<string, string>): Promise<Project> {
    const project = new Project(folder)
    mkdirSync(folder, { recursive: true })
    project.save('package.json', JSON.stringify({ name: 'a-project', private: true, dependencies }))
    // No package needs its scripts: what is native is prebuilt.
    const quietly = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error']
    await succeeds(run('npm', ['install', ...quietly], { cwd: folder }))
    return project
  }

  at(...path: string[]): string {
    return join(this.folder, ...path)
  }

  save(name: string, text: string): string {
    writeFileSync(this.at(name), text)
    return this.at(name)
  }

  /** A program of the user, to its end. Gives what it printed. */
  async node(node: string, args: readonly string[], cwd = this.folder): Promise<string> {
    return (await succeeds(run(node, args, { cwd, env: settings(node) }))).out
  }

  /** `npx bailiwick …`, as typed in this folder. */
  async npx(node: string, ...args: string[]): Promise<Ended> {
    return run('npx', ['bailiwick', ...args], { cwd: this.folder, env: settings(node) })
  }

  start(node: string, ...args: string[]): Program {
    return new Program(node, args, { cwd: this.folder, env: { ...process.env, ...settings(node) } })
  }

  startNpx(node: string, ...args: string[]): Program {
    const env = { ...process.env, ...settings(node) }
    return new Program('npx', ['bailiwick', ...args], { cwd: this.folder, env, group: true })
  }
}

/** The Node.js that `#!/usr/bin/env node` finds, and nothing of this repository's own. */
const settings = (node: string) => ({
  PATH: `${dirname(node)}:${process.env.PATH}`,
  NODE_OPTIONS: '',
  NODE_COMPILE_CACHE: '',
})

export async function succeeds(running: Promise<Ended>): Promise<Ended> {
  const ended = await running
  if (ended.code !== 0) throw new Error(`ended with ${ended.code}: ${ended.out}${ended.err}`)
  return ended
}
