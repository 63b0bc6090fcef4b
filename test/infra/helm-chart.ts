import { createHash } from 'node:crypto'
import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { repository } from './compose-file.ts'

export const helmFolder = join(repository, 'infra/helm')
export const goldenFolder = join(helmFolder, 'golden')

/** The value files with which the chart is rendered, by name. */
export const valueFiles = (): Record<string, string> =>
  Object.fromEntries(
    globSync('values/*.yaml', { cwd: helmFolder })
      .sort()
      .map((path) => [basename(path, '.yaml'), join(helmFolder, path)]),
  )

/** A hash over everything that decides the rendered chart: another hash means that the golden files must be rendered again. */
export function chartHash(): string {
  const hash = createHash('sha256')
  // A symbolic link (the Caddyfile) is read through.
  const files = globSync('{bailiwick,values}/**/*.*', { cwd: helmFolder }).filter((path) => !path.endsWith('.md'))
  for (const path of files.sort()) {
    const text = readFileSync(join(helmFolder, path))
    hash.update(`${path} ${text.byteLength}\n`).update(text)
  }
  return hash.digest('hex')
}
