import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { subjects } from './subjects.ts'
import { beginFile, scopesOf, type Test, takeFinished } from './vitest-in-process.ts'

/** Stryker's requirements of a runner, as `@stryker-mutator/api` declares them, as far as they are used here. */
interface MutantRun {
  activeMutant: { id: string }
  /** The place of the mutant. */
  sandboxFileName: string
  /** Ids of the tests that cover it; undefined: unknown. */
  testFilter?: string[]
  /** How often it may run before it counts as endless. */
  hitLimit?: number
  /** `static`: it runs as a module is loaded, so it must be active before. */
  mutantActivation: 'runtime' | 'static'
}
type Outcome =
  | { status: 'survived'; nrOfTests: number }
  | { status: 'killed'; nrOfTests: number; killedBy: string[]; failureMessage: string }
  | { status: 'timeout'; reason: string }

/** The state that instrumented sources read. */
interface Namespace {
  activeMutant?: string | undefined
  currentTestId?: string | undefined
  hitCount?: number
  hitLimit?: number | undefined
  mutantCoverage?: { static?: object; perTest?: Record<string, object> }
}
const holder = globalThis as { __stryker__?: Namespace }
holder.__stryker__ ??= {}
const namespace = holder.__stryker__

const [passed, failed] = [0, 1]
/** The least time of each test, by id: a test that a busy machine once slowed down is not skipped for that. */
const timesFile = process.env.BAILIWICK_STRYKER_TIMES ?? 'stryker-test-times.json'
/**
 * A test that takes longer is a property of a pure function: it leaves nothing behind, and repeating it costs more than
 * it shows.
 */
const quickMs = 100
/** The time that the tests next to a file leave to all tests of its subject. */
const slowMs = 1000
/** After this many reloads, modules have taken half a gigabyte, which is never freed. */
const mostGraphs = 25

/**
 * Runs tests as plain functions, loaded once by a worker, the quickest first. A mutant then costs only what its tests
 * cost; starting and ending vitest for each would cost more. For code that runs as a module is loaded, each mutant
 * loads all modules anew, with the tests that cover them: first those next to its file.
 */
class InProcessRunner {
  readonly #own = (process.env.BAILIWICK_STRYKER_OWN ?? '').split(' ').filter((name) => name !== '')
  readonly #files = this.#own.length > 0 ? this.#own : (subjects[process.env.BAILIWICK_STRYKER ?? '']?.tests ?? [])
  #tests: Promise<readonly Test[]> | undefined
  #times: Record<string, number> = {}
  #mutants = 0
  #graphs = 0
  #isSpoilt = false

  capabilities() {
    return { reloadEnvironment: true }
  }

  async init(): Promise<void> {
    if (existsSync(timesFile)) this.#times = JSON.parse(readFileSync(timesFile, 'utf8'))
    hookModules()
    await import('./end-on-failure.ts')
  }

  async dryRun() {
    const run = new Run()
    const failures = new Map<Test, unknown>()
    for (const test of await this.#loaded()) {
      namespace.currentTestId = test.id
      const timed = async () => {
        const began = performance.now()
        failures.set(test, await run.of(test))
        return Math.min(performance.now() - began, this.#times[test.id] ?? Number.POSITIVE_INFINITY)
      }
      this.#times[test.id] = await timed()
      // Once more, warm: the first test of a file also waits for loading, which is not its own time.
      if (this.#own.length > 0 && !this.#isQuick(test)) this.#times[test.id] = await timed()
    }
    await run.end()
    namespace.currentTestId = undefined
    writeFileSync(`${timesFile}.tmp`, JSON.stringify(this.#times))
    renameSync(`${timesFile}.tmp`, timesFile)
    const wanted = this.#wanted([...failures.keys()])
    const { static: once = {}, perTest = {} } = namespace.mutantCoverage ?? {}
    return {
      status: 'complete',
      tests: wanted.map((test) => {
        const { id, name, fileName, startPosition } = test
        const about = { id, name, fileName, startPosition, timeSpentMs: this.#times[id] }
        const failure = failures.get(test)
        return failure === undefined
          ? { ...about, status: passed }
          : { ...about, status: failed, failureMessage: String(failure) }
      }),
      mutantCoverage: { static: once, perTest: Object.fromEntries(wanted.map(({ id }) => [id, perTest[id] ?? {}])) },
    }
  }

  async mutantRun({
    activeMutant,
    testFilter,
    hitLimit,
    mutantActivation,
    sandboxFileName,
  }: MutantRun): Promise<Outcome> {
    const isStatic = mutantActivation === 'static'
    // Stryker tries it again in a new process.
    if (this.#isSpoilt || this.#graphs >= mostGraphs || (this.#graphs > 0 && !isStatic)) process.exit(1)
    const isFirst = this.#mutants++ === 0
    const tests = isStatic ? this.#anew(sandboxFileName) : await this.#loaded()
    Object.assign(namespace, { activeMutant: activeMutant.id, hitCount: 0, hitLimit })
    const run = new Run()
    let nrOfTests = 0
    for await (const test of tests) {
      if (testFilter?.includes(test.id) === false) continue
      nrOfTests++
      const failure = 'unloadable' in test ? test.unloadable : await run.of(test)
      const isEndless = hitLimit !== undefined && (namespace.hitCount ?? 0) > hitLimit
      if (failure === undefined && !isEndless) continue
      await run.end()
      namespace.activeMutant = undefined
      // A failure that an earlier mutant left behind does not count as a detection.
      this.#isSpoilt = !isStatic && 'run' in test && (await this.#failsAlone(test))
      if (this.#isSpoilt && !isFirst) process.exit(1)
      if (isEndless) return { status: 'timeout', reason: 'ran too often' }
      return { status: 'killed', nrOfTests, killedBy: [test.id], failureMessage: String(failure).slice(0, 200) }
    }
    await run.end()
    namespace.activeMutant = undefined
    return { status: 'survived', nrOfTests }
  }

  /** The quickest first, all with the same few modules. For a file that does not load, the reason instead of its tests. */
  async *#anew(path: string): AsyncGenerator<Test | Unloadable> {
    const graph = ++this.#graphs
    const beside = relative(process.cwd(), path).replace(/\.ts$/, '.test.ts')
    const idsOf = (name: string) => Object.keys(this.#times).filter((id) => id.startsWith(`${name}#`))
    const cost = (name: string) =>
      name === beside ? -1 : Math.max(0, ...idsOf(name).map((id) => this.#times[id] ?? 0))
    for (const name of this.#files.toSorted((a, b) => cost(a) - cost(b)))
      try {
        yield* this.#wanted(this.#quickestFirst(await load(name, graph)))
      } catch (unloadable) {
        yield { id: idsOf(name)[0] ?? name, unloadable }
      }
  }

  /** Next to a file: no slow one, if there are others. */
  #wanted(tests: readonly Test[]): readonly Test[] {
    const quick = this.#own.length === 0 ? [] : tests.filter((test) => this.#isQuick(test))
    return quick.length === 0 ? tests : quick
  }

  #isQuick({ id }: Test): boolean {
    return (this.#times[id] ?? 0) < slowMs
  }

  async #failsAlone(test: Test): Promise<boolean> {
    if ((this.#times[test.id] ?? 0) >= quickMs) return false
    const run = new Run()
    const failure = await run.of(test)
    await run.end()
    return failure !== undefined
  }

  #loaded(): Promise<readonly Test[]> {
    this.#tests ??= Array.fromAsync(this.#files, (name) => load(name)).then((tests) =>
      this.#quickestFirst(tests.flat()),
    )
    return this.#tests
  }

  #quickestFirst(tests: readonly Test[]): readonly Test[] {
    return tests.toSorted((a, b) => (this.#times[a.id] ?? 0) - (this.#times[b.id] ?? 0))
  }
}

/** A test file that a mutant keeps from loading; that counts as a detection by any of its tests. */
interface Unloadable {
  id: string
  unloadable: unknown
}

/** Runs tests one after another: each `beforeAll` once, before the first test that needs it. */
class Run {
  readonly #begun = new Set<object>()
  readonly #afterAll: (() => unknown)[] = []

  /** The reason why it failed; undefined: it passed. */
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
        const hooks = [...takeFinished(), ...scopes.toReversed().flatMap(({ afterEach }) => afterEach)]
        for (const hook of hooks) await hook()
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

/** `graph`: with our modules loaded for it alone. */
async function load(name: string, graph?: number): Promise<readonly Test[]> {
  const path = join(process.cwd(), name)
  const tests = beginFile(path)
  await import(`${pathToFileURL(path).href}${graph === undefined ? '' : `?graph=${graph}`}`)
  return tests
}

/** Tests get our replacement of vitest. The imports of one graph belong to it, as far as they are our sources. */
function hookModules(): void {
  const shim = pathToFileURL(join(import.meta.dirname, 'vitest-in-process.ts')).href
  const ours = pathToFileURL(`${process.cwd()}/`).href
  const isOurs = (url: string) => url.startsWith(ours) && !/\/node_modules\/|\/test\/stryker\//.test(url)
  registerHooks({
    resolve(specifier, context, next) {
      if (specifier === 'vitest' && context.parentURL !== shim) return { url: shim, shortCircuit: true }
      const found = next(specifier, context)
      const [, graph] = /\?graph=(\d+)$/.exec(context.parentURL ?? '') ?? []
      return graph === undefined || !isOurs(found.url) ? found : { ...found, url: `${found.url}?graph=${graph}` }
    },
  })
}

export const strykerPlugins = [{ kind: 'TestRunner', name: 'in-process', injectableClass: InProcessRunner }]
