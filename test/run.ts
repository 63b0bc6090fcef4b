import { stripVTControlCharacters } from 'node:util'
import { missingParts } from '@bailiwick/native'
import { type CliOptions, parseCLI, startVitest, type TestCase, type TestModule } from 'vitest/node'
import { closingLines, missingIn } from './closing-line.ts'

// `npm test`: takes the arguments of `vitest run`, and ends with the line that CI reads.

/**
 * Their tests run whole services with their timers, real brokers, browsers, and processes that are killed. A busy machine may hold these up
 * (decision 37).
 */
const timed = new Set([
  'int',
  'e2e',
  'abuse',
  'e2e-kafka',
  'consumers',
  'parity',
  'browser',
  'chaos',
  'abuse-kafka',
  'containers',
  'judges',
])

/** If more files fail than this, it is not chance. */
const mostFiles = 6

const inCi = process.env.CI === 'true'
const { filter, options } = parseCLI(['vitest', 'run', ...process.argv.slice(2)])
const first = await run(filter, options)
const again = inCi && !options.bail && process.env.BAILIWICK_NIGHTLY !== '1' ? worthATry(first) : []
if (again.length > 0) process.exitCode = undefined // else it says what vitest itself could not do
const second = again.length > 0 ? await runAgain(again) : undefined

const modules = first.modules.map((each) => second?.modules.find((other) => nameOf(other) === nameOf(each)) ?? each)
const tests = modules.flatMap(testsOf)
const results = tests.map((test) => test.result())
const count = (state: string) => results.filter((result) => result.state === state).length
const totals = {
  passed: count('passed'),
  failed: count('failed') + first.unhandled + (second?.unhandled ?? 0) + modules.flatMap(errorsOutsideTests).length,
  skipped: count('skipped') + count('pending'),
}
const notes = results.flatMap((result) => ('note' in result ? [result.note] : []))
const missing = totals.skipped === 0 ? [] : [...missingParts('secure-kafka', 'redis'), ...missingIn(notes)]
const isGood = !process.exitCode && modules.length > 0 && modules.every((module) => module.ok()) && totals.failed === 0
// When vitest has written everything.
process.once('exit', () => console.log([...again.flatMap(told), ...closingLines(totals, missing, inCi)].join('\n')))
process.exit(isGood && !(inCi && missing.length > 0) ? 0 : 1)

/** An error outside of all files is an unhandled rejection, for example. */
async function run(filters: string[], chosen: CliOptions): Promise<{ modules: TestModule[]; unhandled: number }> {
  const { state } = await startVitest(filters, chosen)
  return { modules: state.getTestModules(), unhandled: state.getUnhandledErrors().length }
}

/** The failed files, if all may have failed by chance. */
function worthATry({ modules, unhandled }: Awaited<ReturnType<typeof run>>): TestModule[] {
  const failed = modules.filter((module) => !module.ok())
  const mayBeChance = failed.length <= mostFiles && failed.every(({ project }) => timed.has(project.name))
  return mayBeChance && unhandled === 0 ? failed : []
}

/** From the start of each file, because a test may build on what those before it left. */
function runAgain(failed: readonly TestModule[]) {
  const project = [...new Set(failed.map((module) => module.project.name))]
  console.log(`\nAgain, because it may have been chance: ${failed.map(nameOf).join(', ')}`)
  return run([...new Set(failed.map((module) => module.relativeModuleId))], { ...options, project })
}

function nameOf({ project, relativeModuleId }: TestModule): string {
  return `${project.name} ${relativeModuleId}`
}

function testsOf(module: TestModule): TestCase[] {
  return [...module.children.allTests()]
}

/** A file that does not load, or a hook that throws. */
function errorsOutsideTests(module: TestModule) {
  return [module, ...module.children.allSuites()].flatMap((suite) => suite.errors())
}

/** Describes the failures of the first try: a line for each test, and its difference. */
function told(module: TestModule): string[] {
  const outside = errorsOutsideTests(module).map(({ message }) => `AGAIN ${nameOf(module)}: ${message.split('\n')[0]}`)
  const failed = testsOf(module).filter((test) => test.result().state === 'failed')
  return [
    ...outside,
    ...failed.map((test) => {
      const [error] = test.result().errors ?? []
      const diff = stripVTControlCharacters(error?.diff ?? error?.stacks?.[0]?.file ?? '').slice(0, 2000)
      return `AGAIN ${nameOf(module)} > ${test.fullName}: ${error?.message.split('\n')[0]}\n${diff}`.trimEnd()
    }),
  ]
}
