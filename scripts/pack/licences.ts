import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

interface Installed {
  version: string
  license?: string
  dependencies?: Record<string, string>
}

/** The licences of the packages of others whose code is in the files that a workspace builds for browsers. */
export function licencesOf(root: string, workspace: string): string {
  const { devDependencies = {} } = JSON.parse(readFileSync(join(root, workspace, 'package.json'), 'utf8'))
  const found = new Map<string, string>()
  const open = Object.keys(devDependencies).filter((name) => !/^(vite|@types\/|@bailiwick\/)/.test(name))
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (found.has(name)) continue
    const folder = [join(root, workspace), root]
      .map((from) => join(from, 'node_modules', name))
      .find((path) => globSync(join(path, 'package.json')).length > 0)
    if (folder === undefined) throw new Error(`${name} is not installed`)
    const {
      version,
      license,
      dependencies = {},
    }: Installed = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    const [file] = globSync(join(folder, '{LICENSE,LICENCE,license}*'))
    if (file === undefined) throw new Error(`${name} has no licence in ${dirname(folder)}`)
    found.set(name, `${name} ${version} (${license})\n\n${readFileSync(file, 'utf8').trim()}`)
    open.push(...Object.keys(dependencies))
  }
  const texts = [...found].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, text]) => text)
  return ['Code of these packages is in dist/packages/console.', ...texts].join(`\n\n${'-'.repeat(80)}\n\n`)
}
