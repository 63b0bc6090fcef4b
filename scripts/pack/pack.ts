import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Bundled, bundleLibrary, bundleProgram } from './bundle.ts'
import type { Packed } from './checks.ts'
import { licencesOf } from './licences.ts'
import { manifestOf } from './manifest.ts'
import { type Published, processes, readWhileRunning } from './published.ts'
import { type Workspace, workspacesIn } from './workspaces.ts'

const root = join(import.meta.dirname, '../..')

/** Writes the declarations from which the types of the libraries are bundled. */
export function declare(libraries: readonly Published[]): void {
  run(join(root, 'node_modules/.bin/tsc'), ['-b', ...libraries.map(({ workspace }) => workspace)], root)
}

/** After `declare`: builds a package in a folder of its own, which the caller removes, and packs it into `out`. `source`: as in `manifestOf`. */
export async function pack(
  what: Published,
  out: string,
  source: string,
): Promise<{ folder: string; tarball: string; packed: Packed }> {
  const workspaces = workspacesIn(root)
  const folder = mkdtempSync(join(tmpdir(), 'bailiwick-pack-'))
  const bundled = await build(what, workspaces, folder)
  write(folder, 'package.json', JSON.stringify(manifestOf(what, { workspaces, bundled, source }), undefined, 2))
  write(folder, 'README.md', readme(what, source))
  cpSync(join(root, 'LICENSE'), join(folder, 'LICENSE'))
  const [packed] = JSON.parse(run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', out], folder))
  return { folder, tarball: join(out, packed.filename), packed }
}

async function build(what: Published, workspaces: ReadonlyMap<string, Workspace>, folder: string): Promise<Bundled> {
  const dist = join(folder, 'dist')
  const sources = { root, workspaces }
  if (what.form === 'library') {
    const workspace = [...workspaces.values()].find(({ path }) => path === what.workspace)
    if (workspace === undefined) throw new Error(`${what.workspace} is no workspace`)
    return bundleLibrary(sources, workspace, dist)
  }
  const bundled = await bundleProgram(sources, globSync(processes, { cwd: root }).toSorted(), dist)
  run(process.execPath, ['scripts/build-console.mjs'], root)
  write(folder, 'LICENSES-console.txt', licencesOf(root, 'packages/console'))
  const hidden = /(^|\/)(\.built|README\.md|tests|examples)$/
  for (const path of readWhileRunning)
    cpSync(join(root, path), join(dist, path), { recursive: true, filter: (file) => !hidden.test(file) })
  const { version } = JSON.parse(readFileSync(join(root, what.workspace, 'package.json'), 'utf8'))
  write(folder, `dist/${what.workspace}/package.json`, JSON.stringify({ version, type: 'module' }))
  mkdirSync(join(folder, 'bin'))
  cpSync(join(import.meta.dirname, 'bailiwick.js'), join(folder, 'bin/bailiwick.js'))
  chmodSync(join(folder, 'bin/bailiwick.js'), 0o755)
  return bundled
}

/** Links of the repository lead to the sources of the same version. */
function readme({ workspace }: Published, source: string): string {
  const { version } = JSON.parse(readFileSync(join(root, workspace, 'package.json'), 'utf8'))
  const text = readFileSync(join(root, workspace, 'README.md'), 'utf8')
  return text.replace(
    /\[([^\]]+)\]\(((?!https?:)[^)#]+)(#[^)]*)?\)/g,
    (_, words, path, place = '') => `[${words}](${source}/blob/v${version}/${join(workspace, path)}${place})`,
  )
}

const write = (folder: string, name: string, text: string) => writeFileSync(join(folder, name), `${text.trimEnd()}\n`)

function run(program: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, encoding: 'utf8', maxBuffer: 2 ** 26 })
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? `${stdout}${stderr}`}`)
  return stdout
}
