import type { Bundled } from './bundle.ts'
import type { Published } from './published.ts'
import type { Workspace } from './workspaces.ts'

/** The package.json that is published. `source`: where the sources are, an https address without `.git`. */
export function manifestOf(
  { name, workspace, description, keywords, node, form }: Published,
  { workspaces, bundled, source }: { workspaces: ReadonlyMap<string, Workspace>; bundled: Bundled; source: string },
): Record<string, unknown> {
  const own = [...workspaces.values()].find(({ path }) => path === workspace)
  if (own === undefined) throw new Error(`${workspace} is no workspace`)
  const { version, peerDependencies, peerDependenciesMeta } = own.manifest
  const peers = form === 'library' ? { peerDependencies, peerDependenciesMeta } : {}
  return {
    name,
    version,
    description,
    keywords,
    license: 'Apache-2.0',
    repository: { type: 'git', url: `git+${source}.git`, directory: workspace },
    homepage: `${source}#readme`,
    bugs: `${source}/issues`,
    type: 'module',
    // `default`, not `import`: a CommonJS program gets the same files by require().
    exports: {
      ...Object.fromEntries(
        Object.entries(bundled.entries).map(([entry, file]) => [
          entry,
          { types: `./dist/${file}.d.ts`, default: `./dist/${file}.js` },
        ]),
      ),
      './package.json': './package.json',
    },
    ...(form === 'program' ? { bin: { [name]: 'bin/bailiwick.js' } } : { sideEffects: false }),
    files: form === 'program' ? ['bin', 'dist', 'LICENSES-console.txt'] : ['dist'],
    engines: { node },
    dependencies: dependenciesOf(form, workspaces, bundled),
    ...peers,
    publishConfig: { access: 'public', provenance: true },
  }
}

/**
 * What the code that became part of the package needs, as the workspaces that it comes from say. A program is tested with exactly these
 * versions; a library shares a newer one with the program that uses it.
 */
function dependenciesOf(form: Published['form'], workspaces: ReadonlyMap<string, Workspace>, bundled: Bundled) {
  const found = new Map<string, string>()
  for (const name of bundled.workspaces)
    for (const [dependency, version] of Object.entries(workspaces.get(name)?.manifest.dependencies ?? {}))
      if (!workspaces.has(dependency)) found.set(dependency, form === 'program' ? version : `^${version}`)
  for (const name of bundled.imports)
    if (!found.has(name)) throw new Error(`the code imports ${name}, and no workspace that it comes from depends on it`)
  return Object.fromEntries([...found].toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
