import { existsSync, realpathSync } from 'node:fs'
import { delimiter, dirname, extname, join } from 'node:path'

export interface Place {
  /** The file that is this command: `main.ts` of a checkout, `bin/bailiwick.js` of an installed package. */
  readonly program: string
  readonly node: string
  /** Where the person types. */
  readonly cwd: string
  readonly path?: string | undefined
}

/** From here, three folders up is the checkout, or `dist` of the installed package. */
const root = join(import.meta.dirname, '../../..')
const ownProgram =
  extname(import.meta.filename) === '.ts' ? join(root, 'packages/cli/src/main.ts') : join(root, '../bin/bailiwick.js')

/** The place of this process. `path`: its environment variable PATH. */
export const ownPlace = (path: string | undefined): Place => ({
  program: ownProgram,
  node: process.execPath,
  cwd: process.cwd(),
  path,
})

/**
 * The words with which a person runs this very program. They are `npx bailiwick` only where npx finds this program in node_modules: elsewhere
 * it would fetch a package of that name, which may be a stranger's.
 */
export function ownCommand({ program, node, cwd, path = '' }: Place): string {
  if (isProgram(join(npmFolder(cwd), 'node_modules/.bin/bailiwick'))) return 'npx bailiwick'
  // npm puts its own folders in front of the PATH of what it runs; the person's shell has none of them.
  const folders = path.split(delimiter).filter((folder) => folder !== '' && !folder.includes('node_modules'))
  const first = folders.map((folder) => join(folder, 'bailiwick')).find((file) => existsSync(file))
  if (first !== undefined && isProgram(first)) return 'bailiwick'
  return [node, program]
    .map((word) => (/^[\w/.:@+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
    .join(' ')

  function isProgram(file: string): boolean {
    return existsSync(file) && realpathSync(file) === realpathSync(program)
  }
}

/** Where npm looks: the nearest folder with a package.json or a node_modules. Beyond it npx fetches. */
function npmFolder(from: string): string {
  if (existsSync(join(from, 'package.json')) || existsSync(join(from, 'node_modules'))) return from
  const above = dirname(from)
  return above === from ? from : npmFolder(above)
}
