import { existsSync, mkdirSync, rmSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, relative } from 'node:path'
import { Stryker } from '@stryker-mutator/core'
import { Workshop } from '../mutants/workshop.ts'
import { inWords } from './lines-reporter.ts'
import { subjects } from './subjects.ts'

// node test/stryker/run.ts [authority | cedar | pipeline] [file.ts[:from-to] …] [--own | --hours N]
// Breaks every expression of a subject once, in a copy of the sources; fails where fewer than 90 % of the mutants are noticed.
// --own: by the test beside each file alone, where there is one. Quick, and what it notices is noticed by all.
// --hours: remembers what it found, in out/stryker, and tries again only what was changed, or what a test was changed for. Begins with
// the file that was longest not looked at, and no other once the time is over.

const least = 90
const root = join(import.meta.dirname, '../..')
const words = process.argv.slice(2)
const chosen = Object.entries(subjects).filter(([name]) => !words.some((w) => w in subjects) || words.includes(name))
const files = words.filter((word) => word.includes('.ts'))
const own = words.includes('--own')
const hours = words.includes('--hours') ? Number(words[words.indexOf('--hours') + 1]) : undefined
const end = performance.now() + (hours ?? Number.POSITIVE_INFINITY) * 3_600_000
const found = join(root, 'out/stryker')
mkdirSync(found, { recursive: true })

type Fate = Awaited<ReturnType<Stryker['runMutationTest']>>[number]

/** Tried in one go: of a subject all at once, or a file each where Stryker is to remember what it found so far. */
interface Lot {
  name: string
  parts: string[]
}

const lots = chosen.flatMap(([name, { mutate }]): Lot[] => {
  rmSync(linesOf(name), { force: true })
  const parts = mutate.flatMap(partsOf)
  return hours === undefined ? [{ name, parts }] : parts.map((part) => ({ name, parts: [part] }))
})
const fatesOf = new Map<string, Fate[]>()
// Of all subjects, so that none waits for the whole of another night after night.
if (hours !== undefined) lots.sort((a, b) => lookedAt(a) - lookedAt(b))
for (const { name, parts } of lots) {
  if (parts.length === 0) continue
  if (performance.now() > end) {
    console.log(`not tried any more: ${parts.join(' ')}`)
    continue
  }
  const fates = await mutantsOf(name, parts)
  fatesOf.set(name, [...(fatesOf.get(name) ?? []), ...fates])
  for (const [file, of] of Map.groupBy(fates, ({ fileName }) => fileName)) console.log(row(of, file))
}
for (const [name, fates] of fatesOf) {
  if (score(fates) < least) process.exitCode = 1
  console.log(row(fates, `${name}, of what was tried`))
  for (const fate of fates.filter(isUnnoticed)) console.log(inWords(fate))
}

/** What of a file is asked for: all of it unless files are named. */
function partsOf(path: string): string[] {
  if (files.length === 0) return [path]
  const parts = files.filter((file) => path.endsWith(`/${file.replace(/:.*/, '')}`))
  return parts.map((file) => path.replace(/\.ts$/, file.replace(/^.*\.ts/, '.ts')))
}

/** Those beside the files; all of the subject where one file has none. */
function ownTests(name: string, parts: readonly string[]): readonly string[] {
  const tests = parts.map((part) => part.replace(/\.ts.*$/, '.test.ts'))
  return tests.every((test) => existsSync(join(root, test))) ? tests : (subjects[name]?.tests ?? [])
}

/** Each mutant's fate, a line as it is known. */
function linesOf(name: string): string {
  return join(found, `${name}.txt`)
}

/** What Stryker remembers. */
function memoryOf(parts: readonly string[]): string {
  return join(found, `${parts.join(' ').replaceAll('/', '.')}.json`)
}

function lookedAt({ parts }: Lot): number {
  return statSync(memoryOf(parts), { throwIfNoEntry: false })?.mtimeMs ?? 0
}

async function mutantsOf(name: string, parts: string[]): Promise<Fate[]> {
  using copy = new Workshop()
  // Few cases of the second mind: a mutant that a thousand decisions do not show, it may keep.
  process.env.BAILIWICK_SEED ??= '1'
  Object.assign(process.env, {
    BAILIWICK_STRYKER: name,
    BAILIWICK_STRYKER_LINES: linesOf(name),
    BAILIWICK_CASES: '3000',
    ...(own && { BAILIWICK_STRYKER_OWN: ownTests(name, parts).join(' ') }),
  })
  process.chdir(copy.dir)
  try {
    const fates = await new Stryker({
      mutate: parts,
      inPlace: true, // the copy is its sandbox, whose packages are its own
      testRunner: 'in-process',
      plugins: ['in-process-runner.ts', 'lines-reporter.ts'].map((name) => join(copy.dir, 'test/stryker', name)),
      tsconfigFile: 'none.json', // TypeScript 7 lacks what Stryker would read it with
      coverageAnalysis: 'perTest',
      incremental: hours !== undefined,
      incrementalFile: memoryOf(parts),
      // What runs once, as a module is loaded, needs all tests in a new environment for each of its mutants.
      ignoreStatic: files.length > 0,
      reporters: ['lines'],
      concurrency: Number(process.env.BAILIWICK_STRYKER_WORKERS ?? availableParallelism()),
      timeoutMS: 20_000, // of tests that took milliseconds: a busy machine notices nothing by being slow
      allowConsoleColors: false,
    } as ConstructorParameters<typeof Stryker>[0]).runMutationTest()
    return fates.map((fate) => ({ ...fate, fileName: relative(copy.dir, fate.fileName) }))
  } finally {
    process.chdir(root)
  }
}
function isNoticed({ status }: Fate): boolean {
  return status === 'Killed' || status === 'Timeout'
}

function isUnnoticed({ status }: Fate): boolean {
  return status === 'Survived' || status === 'NoCoverage'
}

/** In percent, of the mutants that could be noticed: not those that do not run, nor those left out with a reason. */
function score(fates: readonly Fate[]): number {
  const noticed = fates.filter(isNoticed).length
  const all = noticed + fates.filter(isUnnoticed).length
  return all === 0 ? 0 : (100 * noticed) / all
}

function row(fates: readonly Fate[], about: string): string {
  const count = (status: string) => fates.filter((fate) => fate.status === status).length
  const counted = `${count('Killed')} killed, ${count('Timeout')} timed out, ${count('Survived')} survived, ${count('NoCoverage')} not run by any test, ${count('Ignored')} left out`
  return `${score(fates).toFixed(1).padStart(5)} % ${about}: ${counted}`
}
