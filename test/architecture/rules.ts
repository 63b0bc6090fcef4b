import type { SourceFile, Workspace } from './repository.ts'

/** The invariants of DESIGN §12. */
export const invariants: readonly string[] = Array.from({ length: 18 }, (_, n) => `V${n + 1}`)

/** One patch alone may be the one that its test was written for. */
const leastPatches = 2

/** The sections of a service's README, in this order. */
const readmeSections = ['Job', 'Reads and writes', 'Trusts', 'When it is down', 'Run it alone']

/** A missing reference is silent: tsc then checks the package from source, and never rebuilds its dependents. */
export function referenceProblems(all: readonly Workspace[]): string[] {
  const pathOf = new Map(all.map(({ name, path }) => [name, path]))
  return all.flatMap(({ path, dependencies, references }) => {
    const wanted = dependencies.map((name) => pathOf.get(name) ?? name)
    return difference(`${path}/tsconfig.json: reference`, wanted, references)
  })
}

/** `<what> X is missing` for a required name that is absent, `<what> X is too much` for the reverse and for repetitions. */
export function difference(what: string, wanted: readonly string[], found: readonly string[]): string[] {
  const missing = wanted.filter((name) => !found.includes(name)).map((name) => `${what} ${name} is missing`)
  const extra = found.filter((name, n) => !wanted.includes(name) || found.indexOf(name) !== n)
  return [...missing, ...extra.map((name) => `${what} ${name} is too much`)]
}

/** Aim at 150 lines, question 300; a file over 500 is too long to read. */
export function lengthProblems(files: readonly SourceFile[], limit = 500): string[] {
  return files
    .map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }))
    .filter(({ lines }) => lines > limit)
    .map(({ path, lines }) => `${path} has ${lines} lines`)
}

/** A folder with more source files than one looks over at once. Tests and what only they need are not counted. */
export function crowdedFolders(files: readonly SourceFile[], limit = 15): string[] {
  const sources = files.filter(({ path }) => !/\.(test|fixture|contract)\.tsx?$/.test(path))
  const folders = Map.groupBy(sources, ({ path }) => path.slice(0, path.lastIndexOf('/')))
  return [...folders]
    .filter(([, inside]) => inside.length > limit)
    .map(([folder, inside]) => `${folder} has ${inside.length} source files`)
}

/** The codes in the first column of a Markdown table. */
export function codesInTable(page: string): string[] {
  return [...page.matchAll(/^\| `([a-z0-9_]+)` \|/gm)].map(([, code]) => code ?? '')
}

/** Codes that no source names. */
export function unusedCodes(codes: readonly string[], sources: readonly SourceFile[]): string[] {
  return codes.filter((code) => !sources.some(({ text }) => new RegExp(`['"\`]${code}['"\`]`).test(text)))
}

/** A row of docs/explain/invariants.md. */
interface InvariantRow {
  name: string
  /** The last cell: `tested`, or `not yet` and when. */
  status: string
}

/** The rows `| V1 | … | <status> |` of a page, bold or not. */
function invariantRows(page: string): InvariantRow[] {
  return [...page.matchAll(/^\|\s*\**(V\d+)\**\s*\|.*\|\s*([^|]*?)\s*\|\s*$/gm)].map(([, name = '', status = '']) => ({
    name,
    status,
  }))
}

/** Every invariant is on the page once, in order, and says whether it is tested. */
export function invariantPageProblems(page: string): string[] {
  const rows = invariantRows(page)
  return [
    ...difference(
      'docs/explain/invariants.md: row',
      invariants,
      rows.map(({ name }) => name),
    ),
    ...rows
      .filter(({ status }) => status !== 'tested' && !status.startsWith('not yet'))
      .map(({ name, status }) => `${name} is neither "tested" nor "not yet …", but ${JSON.stringify(status)}`),
  ]
}

/** The invariants in the names of tests: `(V9)` or `(V9, V10)` within a string, not in a comment. */
function invariantsInTestNames(tests: readonly SourceFile[]): Set<string> {
  const lines = tests.flatMap(({ text }) => text.split('\n')).filter((line) => !/^\s*(\/\/|\/?\*)/.test(line))
  const lists = lines.flatMap((line) => [...line.matchAll(/['"`].*?\((V\d+(?:, V\d+)*)\).*?['"`]/g)])
  return new Set(lists.flatMap(([, list]) => list?.split(', ') ?? []))
}

/** How many patches name each invariant in their headers; the header is the part above the first file. */
function patchesByInvariant(patches: readonly SourceFile[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { text } of patches) {
    const header = text.split(/^(?:diff |--- )/m)[0] ?? ''
    for (const name of new Set(header.match(/\bV\d+\b/g) ?? [])) counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  return counts
}

/** What each invariant that is marked `tested` lacks. */
export function provenProblems(page: string, tests: readonly SourceFile[], patches: readonly SourceFile[]): string[] {
  const named = invariantsInTestNames(tests)
  const broken = patchesByInvariant(patches)
  const tested = invariantRows(page).filter(({ status }) => status === 'tested')
  return tested.flatMap(({ name }) => [
    ...(named.has(name) ? [] : [`${name} is in no test's name`]),
    ...((broken.get(name) ?? 0) < leastPatches
      ? [`${name} has fewer than ${leastPatches} patches in test/mutants/`]
      : []),
  ])
}

/** A service's README has five sections, in one order, on at most 80 lines. */
export function readmeProblems(path: string, text: string | undefined): string[] {
  if (text === undefined) return [`${path} is missing`]
  const sections = [...text.matchAll(/^## (.+?)\s*$/gm)].map(([, title]) => title ?? '')
  const inOrder = sections.join() === readmeSections.join()
  return [
    ...lengthProblems([{ path, text }], 80),
    ...(inOrder ? [] : [`${path} has the sections ${sections.join(', ')}; wanted: ${readmeSections.join(', ')}`]),
  ]
}

/** The index names each decision in one row, `| N | [title](file) | …`, as the page's heading has it, in order, and no other. */
export function decisionIndexProblems(index: string, pages: readonly SourceFile[]): string[] {
  const rows = index.split('\n').filter((line) => /^\| *\d+ *\|/.test(line))
  const found = rows.map((row) => row.match(/^\| *\d+ *\| \[.*?\]\([^)]*\) \| /)?.[0] ?? row)
  const wanted = pages.map(({ path, text }) => {
    const [, number = '?', title = '?'] = /^# (\d+)\. (.+)\n/.exec(text) ?? []
    return `| ${number} | [${title}](${path.slice(path.lastIndexOf('/') + 1)}) | `
  })
  const problems = difference('docs/decisions/README.md: row', wanted, found)
  return problems.length > 0 || found.join() === wanted.join() ? problems : ['docs/decisions/README.md is out of order']
}
