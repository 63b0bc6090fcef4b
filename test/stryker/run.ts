import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { Stryker } from '@stryker-mutator/core'
import { Workshop } from '../mutants/workshop.ts'
import { inWords, type Tested } from './lines-reporter.ts'
import { forgetUnnoticed, gather, memoryOf, remembered, scatter } from './memory.ts'
import { subjects } from './subjects.ts'

// node test/stryker/run.ts [authority | cedar | compiled | pipeline | evidence | projection] [file.ts[:from-to] …] [--own] [--hours N]
// Breaks every expression once, in a copy of the sources. A file is tried first with the quick tests next to it. The
// mutants that these do not notice are tried together, with all tests of the subject. Remembers its findings in
// out/stryker, and retries only what has changed, or what has a changed test. Then reports all files of each subject,
// and fails where fewer than 90 % of the mutants are noticed.
// --own: stops after the quick tests. --hours: begins with the file that was examined longest ago, and begins nothing
// once the time is over.

const least = 90
const root = join(import.meta.dirname, '../..')
const words = process.argv.slice(2)
const chosen = Object.entries(subjects).filter(([name]) => !words.some((w) => w in subjects) || words.includes(name))
const named = words.filter((word) => word.includes('.ts'))
const ownAlone = words.includes('--own')
const hours = words.includes('--hours') ? Number(words[words.indexOf('--hours') + 1]) : Number.POSITIVE_INFINITY
const end = performance.now() + hours * 3_600_000
const found = join(root, 'out/stryker')
mkdirSync(found, { recursive: true })

interface Lot {
  subject: string
  path: string
  /** With the lines, where only a part of the file is requested. */
  parts: string[]
}

const lots = chosen
  .flatMap(([subject, { mutate }]) => mutate.map((path): Lot => ({ subject, path, parts: partsOf(path) })))
  .filter(({ parts }) => parts.length > 0)
  .toSorted((a, b) => lookedAt(a) - lookedAt(b))
{
  using copy = new Workshop()
  for (const lot of lots) {
    const own = ownTests(lot.path)
    if (own.length === 0 || performance.now() > end) continue
    forgetUnnoticed(found, lot.path, own)
    await run(copy, lot.subject, lot.parts, memoryOf(found, lot.path), own)
    console.log(`tried: ${rowOf(lot.path)}`)
  }
  for (const [subject, all] of Map.groupBy(lots, (lot) => lot.subject)) {
    const left = all.filter(({ path }) => isLeft(path))
    if (left.length === 0 || performance.now() > end) continue
    const memory = join(found, `${subject}.tmp`)
    for (const { path } of left) forgetUnnoticed(found, path, subjects[subject]?.tests ?? [])
    gather(
      found,
      left.map(({ path }) => path),
      memory,
    )
    await run(
      copy,
      subject,
      left.flatMap(({ parts }) => parts),
      memory,
    )
    scatter(found, memory)
  }
}
for (const [name, { mutate }] of chosen) {
  for (const path of mutate) console.log(rowOf(path))
  const all = mutate.flatMap((path) => remembered(found, path)?.mutants ?? [])
  if (score(all) < least) process.exitCode = 1
  console.log(row(all, `${name}, of what was tried`))
  for (const mutant of all.filter(isUnnoticed)) console.log(inWords(mutant))
}

function partsOf(path: string): string[] {
  if (named.length === 0) return [path]
  const parts = named.filter((file) => path.endsWith(`/${file.replace(/:.*/, '')}`))
  return parts.map((file) => path.replace(/\.ts$/, file.replace(/^.*\.ts/, '.ts')))
}

/** The tests next to the file. */
function ownTests(path: string): string[] {
  return [path.replace(/\.ts$/, '.test.ts')].filter((test) => existsSync(join(root, test)))
}

/**
 * For all tests of its subject: the mutants that the tests next to the file do not notice, and with `--own` only those
 * of files without such tests.
 */
function isLeft(path: string): boolean {
  if (ownAlone) return ownTests(path).length === 0
  return remembered(found, path)?.mutants.some(isUnnoticed) ?? true
}

function lookedAt({ path }: Lot): number {
  return remembered(found, path)?.at ?? 0
}

/** Tries mutants with the quick ones of these tests, or else with all of the subject, and stores the result. */
async function run(
  copy: Workshop,
  subject: string,
  mutate: string[],
  memory: string,
  own: string[] = [],
): Promise<void> {
  const lines = join(found, `${subject}.txt`)
  rmSync(lines, { force: true })
  // Few cases of the reference: a mutant that a thousand decisions do not reveal may survive.
  process.env.BAILIWICK_SEED ??= '1'
  Object.assign(process.env, {
    BAILIWICK_STRYKER: subject,
    BAILIWICK_STRYKER_LINES: lines,
    BAILIWICK_STRYKER_TIMES: join(found, 'times.json'),
    BAILIWICK_CASES: '3000',
    BAILIWICK_STRYKER_OWN: own.join(' '),
  })
  process.chdir(copy.dir)
  try {
    await new Stryker({
      mutate,
      inPlace: true, // the copy is its sandbox, whose packages are its own
      testRunner: 'in-process',
      plugins: ['in-process-runner.ts', 'lines-reporter.ts'].map((name) => join(copy.dir, 'test/stryker', name)),
      tsconfigFile: 'none.json', // TypeScript 7 lacks what Stryker would read it with
      coverageAnalysis: 'perTest',
      incremental: true,
      incrementalFile: memory,
      reporters: ['lines'],
      concurrency: Number(process.env.BAILIWICK_STRYKER_WORKERS ?? availableParallelism()),
      timeoutMS: 20_000, // for tests that took milliseconds: a busy machine does not count as a detection by being slow
      allowConsoleColors: false,
    } as ConstructorParameters<typeof Stryker>[0]).runMutationTest()
  } finally {
    process.chdir(root)
  }
}

function isNoticed({ status }: Tested): boolean {
  return status === 'Killed' || status === 'Timeout'
}

function isUnnoticed({ status }: Tested): boolean {
  return status === 'Survived' || status === 'NoCoverage'
}

/** In percent of the mutants that could be noticed, which excludes those that do not run and those left out with a reason. */
function score(mutants: readonly Tested[]): number {
  const noticed = mutants.filter(isNoticed).length
  const all = noticed + mutants.filter(isUnnoticed).length
  return all === 0 ? 100 : (100 * noticed) / all
}

function rowOf(path: string): string {
  const known = remembered(found, path)
  if (known === undefined) return `not tried yet: ${path}`
  const day = new Date(known.at).toISOString().slice(0, 10)
  return row(known.mutants, `${path} (${day}${known.isChanged ? ', changed since' : ''})`)
}

function row(mutants: readonly (Tested & { static?: boolean })[], about: string): string {
  const count = (...of: string[]) => mutants.filter(({ status }) => of.includes(status)).length
  const once = mutants.filter((mutant) => mutant.static === true).length
  const counted = `${count('Killed', 'Timeout')} noticed, ${count('Survived')} survived, ${count('NoCoverage')} not run by any test, ${count('Ignored')} left out; ${once} run once`
  return `${score(mutants).toFixed(1).padStart(5)} % ${about}: ${counted}`
}
