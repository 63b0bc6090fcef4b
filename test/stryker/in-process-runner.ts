import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { subjects } from './subjects.ts'
import { beginFile, collected, scopesOf, type Test } from './vitest-in-process.ts'

/** What Stryker asks of a runner, as `@stryker-mutator/api` declares it, as far as it is used here. */
interface MutantRun {
  activeMutant: { id: string }
  /** Where it is. */
  sandboxFileName: string
  /** Ids of the tests that run it; undefined: it is not known. */
  testFilter?: string[]
  /** How often it may run before it is taken to go on for ever. */
  hitLimit?: number
  /** `static`: it runs as a module is loaded, and must be there before. */
  mutantActivation: 'runtime' | 'static'
}
type Outcome =
  | { status: 'survived'; nrOfTests: number }
  | { status: 'killed'; nrOfTests: number; killedBy: string[]; failureMessage: string }
  | { status: 'timeout'; reason: string }

/** What instrumented sources look at. */
interface Namespace {
  activeMutant?: string | undefined
  currentTestId?: string | undefined
  hitCount?: number
  hitLimit?: number | undefined
  mutantCoverage?: object
}
const holder = globalThis as { __stryker__?: Namespace }
holder.__stryker__ ??= {}
const namespace = holder.__stryker__

const [passed, failed] = [0, 1]
/** How long each test takes, by id, from the worker that ran them all to the others. */
const timesFile = 'stryker-test-times.json'
/** A test that takes longer is a property of something pure: it leaves nothing behind, and trying it again costs more than it shows. */
const quickMs = 100
/** What `--own` leaves to the runs without. */
const slowMs = 1000

/**
 * Runs tests as what they are: functions, loaded once by a worker, the quickest first. A mutant costs what its tests cost, of
 * which the beginning and the end of a run of vitest would be most.
 */
class InProcessRunner {
  #tests: Promise<readonly Test[]> | undefined
  #times: Record<string, number> = {}
  #mutants = 0
  #isSpoilt = false

  /** Stryker starts another process for what runs once, as a module is loaded. */
  capabilities() {
    return { reloadEnvironment: false }
  }

  async dryRun() {
    const tests: object[] = []
    const run = new Run()
    for (const test of await this.#loaded()) {
      namespace.currentTestId = test.id
      const began = performance.now()
      const failure = await run.of(test)
      this.#times[test.id] = performance.now() - began
      const { id, name, fileName, startPosition } = test
      const about = { id, name, fileName, startPosition, timeSpentMs: this.#times[id] }
      tests.push(
        failure === undefined
          ? { ...about, status: passed }
          : { ...about, status: failed, failureMessage: String(failure) },
      )
    }
    await run.end()
    namespace.currentTestId = undefined
    writeFileSync(timesFile, JSON.stringify(this.#times))
    return { status: 'complete', tests, mutantCoverage: namespace.mutantCoverage ?? { static: {}, perTest: {} } }
  }

  async mutantRun({
    activeMutant,
    testFilter,
    hitLimit,
    mutantActivation,
    sandboxFileName,
  }: MutantRun): Promise<Outcome> {
    if (this.#isSpoilt) process.exit(1) // Stryker tries it again in a new process
    const isFirst = this.#mutants++ === 0
    if (mutantActivation === 'static') namespace.activeMutant = activeMutant.id
    const all = await this.#loaded()
    Object.assign(namespace, { activeMutant: activeMutant.id, hitCount: 0, hitLimit })
    const run = new Run()
    let nrOfTests = 0
    for (const test of this.#testsFor(sandboxFileName, all, testFilter)) {
      nrOfTests++
      const failure = await run.of(test)
      const isEndless = hitLimit !== undefined && (namespace.hitCount ?? 0) > hitLimit
      if (failure === undefined && !isEndless) continue
      await run.end()
      namespace.activeMutant = undefined
      // What fails by what an earlier mutant left behind was not noticed.
      this.#isSpoilt = mutantActivation === 'runtime' && (await this.#failsAlone(test))
      if (this.#isSpoilt && !isFirst) process.exit(1)
      if (isEndless) return { status: 'timeout', reason: 'ran too often' }
      return { status: 'killed', nrOfTests, killedBy: [test.id], failureMessage: String(failure).slice(0, 200) }
    }
    await run.end()
    namespace.activeMutant = undefined
    return { status: 'survived', nrOfTests }
  }

  /** Of the tests that run a mutant: all, or with `--own` the quick ones beside its file where there are any. */
  #testsFor(path: string, all: readonly Test[], ids?: readonly string[]): readonly Test[] {
    const tests = ids === undefined ? all : all.filter(({ id }) => ids.includes(id))
    if (process.env.BAILIWICK_STRYKER_OWN === undefined) return tests
    const isOwn = ({ id, fileName }: Test) =>
      fileName === path.replace(/\.ts$/, '.test.ts') && (this.#times[id] ?? 0) < slowMs
    return tests.some(isOwn) ? tests.filter(isOwn) : tests
  }

  async #failsAlone(test: Test): Promise<boolean> {
    if ((this.#times[test.id] ?? 0) >= quickMs) return false
    const run = new Run()
    const failure = await run.of(test)
    await run.end()
    return failure !== undefined
  }

  #loaded(): Promise<readonly Test[]> {
    if (existsSync(timesFile)) this.#times = JSON.parse(readFileSync(timesFile, 'utf8'))
    this.#tests ??= load().then((tests) =>
      tests.toSorted((a, b) => (this.#times[a.id] ?? 0) - (this.#times[b.id] ?? 0)),
    )
    return this.#tests
  }
}

/** Of tests one after another: each `beforeAll` once, before the first test that it is for. */
class Run {
  readonly #begun = new Set<object>()
  readonly #afterAll: (() => unknown)[] = []

  /** Why it failed; undefined: it passed. */
  async of(test: Test): Promise<unknown> {
    const scopes = scopesOf(test.scope)
    try {
      for (const scope of scopes) {
        if (this.#begun.has(scope)) continue
        this.#begun.add(scope)
        this.#afterAll.unshift(...scope.afterAll)
        for (const hook of scope.beforeAll) await hook()
      }
      try {
        for (const hook of scopes.flatMap(({ beforeEach }) => beforeEach)) await hook()
        await test.run()
      } finally {
        for (const hook of scopes.toReversed().flatMap(({ afterEach }) => afterEach)) await hook()
      }
    } catch (error) {
      return error ?? new Error('threw nothing')
    }
    return undefined
  }

  async end(): Promise<void> {
    for (const hook of this.#afterAll) await Promise.try(hook).catch(() => undefined)
  }
}

async function load(): Promise<readonly Test[]> {
  const shim = pathToFileURL(join(import.meta.dirname, 'vitest-in-process.ts')).href
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === 'vitest' && context.parentURL !== shim
        ? { url: shim, shortCircuit: true }
        : next(specifier, context),
  })
  await import('./end-on-failure.ts')
  const { BAILIWICK_STRYKER: subject = '', BAILIWICK_STRYKER_OWN: own } = process.env
  for (const name of own?.split(' ') ?? subjects[subject]?.tests ?? []) {
    const path = join(process.cwd(), name)
    beginFile(path)
    await import(pathToFileURL(path).href)
  }
  return collected
}

export const strykerPlugins = [{ kind: 'TestRunner', name: 'in-process', injectableClass: InProcessRunner }]
