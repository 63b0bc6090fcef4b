import { relative } from 'node:path'
import { format } from 'node:util'
import { expect as real } from 'vitest'

// The parts of vitest that the tests run by Stryker use: tests are collected once, and run as often as there are
// mutants.

type Body = (...args: unknown[]) => unknown

/** A `describe`, or a file, which is the outermost one. */
interface Scope {
  name: string
  within: Scope | undefined
  beforeAll: Body[]
  afterAll: Body[]
  beforeEach: Body[]
  afterEach: Body[]
}

export interface Test {
  id: string
  /** Including those of the enclosing blocks. */
  title: string
  /** For one test only. */
  name: string
  fileName: string
  /** The position of its `it`, from 0. */
  startPosition: { line: number; column: number }
  run: Body
  scope: Scope
}

let collected: Test[] = []
let scope = scopeOf('', undefined)
let file = ''

/** Everything declared from now on belongs to this file, and to the list that this returns. */
export function beginFile(path: string): readonly Test[] {
  file = path
  scope = scopeOf('', undefined)
  collected = []
  return collected
}

function scopeOf(name: string, within: Scope | undefined): Scope {
  return { name, within, beforeAll: [], afterAll: [], beforeEach: [], afterEach: [] }
}

/** From the file inwards. */
export function scopesOf(innermost: Scope): Scope[] {
  return innermost.within === undefined ? [innermost] : [...scopesOf(innermost.within), innermost]
}

export const beforeAll = (hook: Body) => scope.beforeAll.push(hook)
export const afterAll = (hook: Body) => scope.afterAll.push(hook)
export const beforeEach = (hook: Body) => scope.beforeEach.push(hook)
export const afterEach = (hook: Body) => scope.afterEach.push(hook)

let finished: Body[] = []
export const onTestFinished = (hook: Body) => void finished.push(hook)
/** What the test that has just run wants done, the last first. */
export function takeFinished(): Body[] {
  const hooks = finished.toReversed()
  finished = []
  return hooks
}

/** Options and the body, in either order. */
type Given = unknown[]
type Declare = (name: string, ...given: Given) => void
const bodyOf = (given: Given) => given.find((each) => typeof each === 'function') as Body

const test: Declare = (own, ...given) => {
  const names = [...scopesOf(scope).map(({ name }) => name), own].filter((each) => each !== '')
  const title = names.join(' > ')
  // Several may have one name.
  const same = collected.filter((each) => each.title === title).length
  const name = same === 0 ? title : `${title} #${same}`
  const startPosition = whereCalled()
  collected.push({
    id: `${relative(process.cwd(), file)}#${name}`,
    title,
    name,
    fileName: file,
    startPosition,
    run: bodyOf(given),
    scope,
  })
}

/** Stryker uses it to see which tests have changed. */
function whereCalled(): Test['startPosition'] {
  const { stack = '' } = new Error()
  const [, line = 1, column = 1] = stack.match(new RegExp(`${RegExp.escape(file)}:(\\d+):(\\d+)`)) ?? []
  return { line: Number(line) - 1, column: Number(column) - 1 }
}

const suite: Declare = (name, ...given) => {
  scope = scopeOf(name, scope)
  bodyOf(given)()
  scope = scope.within ?? scope
}

const eachOf =
  (declare: Declare) =>
  (rows: readonly unknown[]) =>
  (title: string, ...given: Given) => {
    // As in vitest: spread only where every row is a list.
    const areLists = rows.every((row) => Array.isArray(row))
    for (const row of rows) {
      const args = areLists ? (row as unknown[]) : [row]
      const named = args.slice(0, title.match(/%[a-z]/gi)?.length ?? 0)
      declare(format(title, ...named), () => bodyOf(given)(...args))
    }
  }

export const it = Object.assign(test, { each: eachOf(test) })
export const describe = Object.assign(suite, { each: eachOf(suite) })

/** vitest's own requires a test of vitest's. */
const poll = (read: () => unknown, { timeout = 1000, interval = 50 } = {}) => {
  const until = async (matcher: string, args: unknown[]) => {
    for (const end = performance.now() + timeout; ; await new Promise((done) => setTimeout(done, interval)))
      try {
        return (real(await read()) as unknown as Record<string, Body>)[matcher]?.(...args)
      } catch (error) {
        if (performance.now() > end) throw error
      }
  }
  return new Proxy(
    {},
    {
      get:
        (_, matcher: string) =>
        (...args: unknown[]) =>
          until(matcher, args),
    },
  )
}
export const expect = new Proxy(real, {
  get: (of, name, receiver) => (name === 'poll' ? poll : Reflect.get(of, name, receiver)),
})

const timers = ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] as const
type Timer = (typeof timers)[number]
const realTimers = Object.fromEntries(timers.map((name) => [name, globalThis[name]]))

interface Due {
  tick: () => unknown
  /** Of an interval. */
  everyMs: number | undefined
  at: number
}
/** What a test with fake timers has set, and its time, ms. */
const due = new Set<Due>()
let fakeNow = 0

const setDue = (tick: () => unknown, ms: number, everyMs?: number) => {
  const each = { tick, everyMs, at: fakeNow + ms, ref: () => each, unref: () => each }
  due.add(each)
  return each
}
const clearDue = (each: Due | undefined) => void (each && due.delete(each))
const fakeTimers: Readonly<Record<Timer, unknown>> = {
  setTimeout: (tick: () => unknown, ms = 0, ...args: never[]) => setDue(tick.bind(undefined, ...args), ms),
  setInterval: (tick: () => unknown, ms = 1) => setDue(tick, ms, ms),
  clearTimeout: clearDue,
  clearInterval: clearDue,
}

/** Until nothing goes on by itself any more that a timer began. */
async function settled(): Promise<void> {
  for (let n = 0; n < 10; n++) await new Promise((done) => setImmediate(done))
}

/** As much of vitest's `vi` as those tests use. It fakes timers, and never `Date`: time is an argument of what they test. */
export const vi = {
  useFakeTimers({ toFake = timers }: { toFake?: readonly Timer[] } = {}) {
    due.clear()
    fakeNow = 0
    Object.assign(globalThis, Object.fromEntries(toFake.map((name) => [name, fakeTimers[name]])))
  },
  useRealTimers() {
    Object.assign(globalThis, realTimers)
  },
  async advanceTimersByTimeAsync(ms: number) {
    const end = fakeNow + ms
    for (;;) {
      const [next] = [...due].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)
      if (next === undefined) break
      fakeNow = next.at
      if (next.everyMs === undefined) due.delete(next)
      else next.at += Math.max(1, next.everyMs)
      next.tick()
      await settled()
    }
    fakeNow = end
    await settled()
  },
  async waitFor<T>(read: () => T | Promise<T>, { timeout = 1000, interval = 50 } = {}): Promise<T> {
    for (const end = performance.now() + timeout; ; await new Promise((done) => setTimeout(done, interval)))
      try {
        return await read()
      } catch (error) {
        if (performance.now() > end) throw error
      }
  },
}
