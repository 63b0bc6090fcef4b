import { mkdirSync, rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, relative } from 'node:path'
import { Stryker } from '@stryker-mutator/core'
import { Workshop } from '../mutants/workshop.ts'
import { inWords } from './lines-reporter.ts'
import { subjects } from './subjects.ts'

// node test/stryker/run.ts [authority | cedar | pipeline] [file.ts[:from-to] …] [--own]
// Breaks every expression of a subject once, in a copy of the sources; fails where fewer than 90 % of the mutants are noticed.
// --own: by the test beside each file alone. Quick, and what it notices is noticed by all.

const least = 90
const root = join(import.meta.dirname, '../..')
const words = process.argv.slice(2)
const chosen = Object.entries(subjects).filter(([name]) => !words.some((w) => w in subjects) || words.includes(name))
const files = words.filter((word) => word.includes('.ts'))
const own = words.includes('--own')
const found = join(root, 'out/stryker')
mkdirSync(found, { recursive: true })

type Fate = Awaited<ReturnType<Stryker['runMutationTest']>>[number]

for (const [name, { mutate }] of chosen) {
  const asked = mutate.flatMap((path) => {
    const parts = files.filter((file) => path.endsWith(`/${file.replace(/:.*/, '')}`))
    return files.length === 0 ? [path] : parts.map((file) => path.replace(/\.ts$/, file.replace(/^.*\.ts/, '.ts')))
  })
  if (asked.length === 0) continue
  if (own) process.env.BAILIWICK_STRYKER_TESTS = asked.map((path) => path.replace(/\.ts.*$/, '.test.ts')).join(' ')
  const fates = await mutantsOf(name, asked)
  if (score(fates) < least) process.exitCode = 1
  for (const [file, of] of Map.groupBy(fates, ({ fileName }) => fileName)) console.log(row(of, file))
  console.log(row(fates, `${name}, as a whole`))
  for (const fate of fates.filter(isUnnoticed)) console.log(inWords(fate))
}

async function mutantsOf(name: string, mutate: string[]): Promise<Fate[]> {
  using copy = new Workshop()
  const lines = join(found, `${name}.txt`)
  rmSync(lines, { force: true })
  // Few cases of the second mind: a mutant that a thousand decisions do not show, it may keep.
  process.env.BAILIWICK_SEED ??= '1'
  Object.assign(process.env, { BAILIWICK_STRYKER: name, BAILIWICK_STRYKER_LINES: lines, BAILIWICK_CASES: '3000' })
  process.chdir(copy.dir)
  try {
    const fates = await new Stryker({
      mutate,
      inPlace: true, // the copy is its sandbox, whose packages are its own
      testRunner: 'vitest',
      vitest: { configFile: 'test/stryker/vitest.config.ts', related: false },
      plugins: ['@stryker-mutator/vitest-runner', join(copy.dir, 'test/stryker/lines-reporter.ts')],
      tsconfigFile: 'none.json', // TypeScript 7 lacks what Stryker would read it with
      coverageAnalysis: 'perTest',
      // What runs once, as a module is loaded, needs all tests in a new environment for each of its mutants.
      ignoreStatic: files.length > 0,
      reporters: ['lines'],
      concurrency: Number(process.env.BAILIWICK_STRYKER_WORKERS ?? availableParallelism()),
      timeoutMS: 60_000, // a busy machine notices nothing by being slow
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
