import { readFileSync, writeFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import {
  type OutputChunk,
  type OutputOptions,
  type Plugin,
  type RolldownOutput,
  type RolldownPluginOption,
  rolldown,
} from 'rolldown'
import { dts } from 'rolldown-plugin-dts'
import { packageOf, sourceOf, type Workspace } from './workspaces.ts'

export interface Bundled {
  /** Files that `exports` may name, by entry: `.` and `./sidecar`. */
  readonly entries: Readonly<Record<string, string>>
  /** Workspaces that the code comes from. */
  readonly workspaces: ReadonlySet<string>
  /** Packages of others that the code imports. */
  readonly imports: ReadonlySet<string>
}

export interface Sources {
  readonly root: string
  readonly workspaces: ReadonlyMap<string, Workspace>
}

/** What a test, or a test alone, needs: an entry of a workspace that is not published. */
const forTests = /\.(test|fixture|contract|test-data)\.ts$/

/**
 * A library: our own packages are part of it, those of others stay dependencies, so that a user's audit and update reach them. The types are
 * bundled from what `tsc -b` wrote.
 */
export async function bundleLibrary(
  { root, workspaces }: Sources,
  workspace: Workspace,
  out: string,
): Promise<Bundled> {
  const entries = Object.entries(workspace.manifest.exports ?? {}).filter(([, source]) => !forTests.test(source))
  const named = entries.map(([entry, source]) => ({
    entry,
    name: entry === '.' ? 'index' : entry.slice(2),
    source: join(root, workspace.path, source),
  }))
  const output = await build({
    root,
    input: Object.fromEntries(named.map(({ name, source }) => [name, source])),
    plugins: [ours({ root, workspaces })],
    target: 'node20',
    write: {
      dir: out,
      entryFileNames: '[name].js',
      chunkFileNames: 'shared-[hash].js',
      sourcemap: true,
      sourcemapPathTransform: fromRoot(root),
    },
  })
  await build({
    root,
    input: Object.fromEntries(named.map(({ name, source }) => [name, declarationsOf(source)])),
    plugins: [
      ours({ root, workspaces, declarations: true }),
      // `oxc` reads declarations without a compiler: tsc has made them.
      dts({ dtsInput: true, emitDtsOnly: true, generator: 'oxc', tsconfig: false, sourcemap: false }),
    ],
    write: { dir: out, entryFileNames: '[name].ts', chunkFileNames: 'shared-[hash].d.ts' },
  })
  for (const name of Object.keys(workspace.manifest.peerDependenciesMeta ?? {}))
    for (const { name: file } of named) typesWithout(name, join(out, `${file}.d.ts`))
  return {
    entries: Object.fromEntries(named.map(({ entry, name }) => [entry, name])),
    ...contentOf(root, output, workspaces),
  }
}

/** A program: each source file compiled by itself, at its place below `out`. */
export async function bundleProgram(
  { root, workspaces }: Sources,
  processes: readonly string[],
  out: string,
): Promise<Bundled> {
  const output = await build({
    root,
    input: processes.map((source) => join(root, source)),
    plugins: [ours({ root, workspaces }), threads()],
    target: 'node24',
    write: {
      dir: out,
      preserveModules: true,
      preserveModulesRoot: root,
      entryFileNames: '[name].js',
      sourcemap: true,
      sourcemapPathTransform: fromRoot(root),
    },
  })
  return { entries: {}, ...contentOf(root, output, workspaces) }
}

interface Build {
  root: string
  input: Record<string, string> | string[]
  plugins: RolldownPluginOption[]
  target?: string
  write: OutputOptions
}

async function build({ root, input, plugins, target, write }: Build): Promise<RolldownOutput> {
  await using bundle = await rolldown({
    input,
    cwd: root,
    platform: 'node',
    tsconfig: false,
    plugins,
    ...(target === undefined ? {} : { transform: { target } }),
    // How long it took is no fault of a package, and another time on a busy machine.
    checks: { bundlerTimings: false },
    // A warning is a fault that a user would meet: something unresolved, a cycle that breaks, a map that lies.
    onLog(_, log) {
      throw new Error(log.message)
    },
  })
  return await bundle.write({ format: 'esm', comments: { legal: true, annotation: true, jsdoc: false }, ...write })
}

/** Our own packages are read from their sources, or from the declarations that tsc made of them. Any other package stays outside. */
function ours({ root, workspaces, declarations }: Sources & { declarations?: true }): Plugin {
  return {
    name: 'ours',
    resolveId: {
      order: 'pre',
      handler(specifier, importer) {
        const source = sourceOf(workspaces, specifier)
        if (source !== undefined) return declarations ? declarationsOf(join(root, source)) : join(root, source)
        if (!/^[./]/.test(specifier)) return { id: specifier, external: true }
        if (!declarations || importer === undefined) return undefined
        return resolve(dirname(importer), specifier).replace(/(\.d)?\.[jt]s$/, '.d.ts')
      },
    },
  }
}

const declarationsOf = (source: string) => source.replace('/src/', '/dist/').replace(/(\.d)?\.ts$/, '.d.ts')

/** A thread's file is named by `new URL('./x.ts', import.meta.url)`. It is one more entry, and has another ending once it is compiled. */
function threads(): Plugin {
  return {
    name: 'threads',
    transform: {
      filter: { code: 'import.meta.url' },
      handler(code, id) {
        const other = /(?<=new URL\('\.\/)([\w-]+)\.ts(?=', import\.meta\.url\))/g
        for (const [, name] of code.matchAll(other))
          this.emitFile({ type: 'chunk', id: join(dirname(id), `${name}.ts`), preserveSignature: 'allow-extension' })
        // As long as before: the map stays true.
        return { code: code.replace(other, '$1.js'), map: null }
      },
    },
  }
}

/** Places in maps are those of the repository, and say nothing of the machine that built them. */
const fromRoot = (root: string) => (source: string, map: string) =>
  relative(root, resolve(dirname(map), source)).replaceAll('\\', '/')

/** An optional peer may be missing: its types are then `any`, and no error in a file that the user cannot mend. */
function typesWithout(peer: string, file: string): void {
  const text = readFileSync(file, 'utf8')
  writeFileSync(file, text.replace(new RegExp(`^import .* from ["']${peer}["'];$`, 'm'), '// @ts-ignore: optional\n$&'))
}

function contentOf(root: string, { output }: RolldownOutput, workspaces: ReadonlyMap<string, Workspace>) {
  const chunks = output.filter((file): file is OutputChunk => file.type === 'chunk')
  const folders = new Map([...workspaces].map(([name, { path }]) => [path, name]))
  const from = chunks.flatMap(({ moduleIds }) =>
    moduleIds.map((id) => folders.get(relative(root, id).split('/').slice(0, 2).join('/'))),
  )
  const own = new Set(chunks.map(({ fileName }) => fileName))
  const imported = chunks
    .flatMap(({ imports, dynamicImports }) => [...imports, ...dynamicImports])
    .filter((name) => !own.has(name) && !isBuiltin(name))
  return {
    workspaces: new Set(from.filter((name) => name !== undefined)),
    imports: new Set(imported.map(packageOf)),
  }
}
