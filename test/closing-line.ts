import { stripVTControlCharacters } from 'node:util'
import { missingParts } from '@bailiwick/native'
import type { Reporter, SerializedError, TestModule } from 'vitest/node'

/**
 * Ends the run with the line that CI reads. An error outside a test (a file that does not load, a hook that throws, an
 * unhandled rejection) counts as failed. A test that passed only at its second try is named, with the error of the
 * first (decision 37).
 */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()])
    const count = (state: string) => tests.filter((test) => test.result().state === state).length
    const again = tests
      .filter((test) => test.diagnostic()?.flaky)
      .map((test) => {
        const [first] = test.result().errors ?? []
        const diff = stripVTControlCharacters(first?.diff ?? first?.stacks?.[0]?.file ?? '').slice(0, 2000)
        const why = first?.message.split('\n')[0]
        return `AGAIN ${test.project.name} ${test.module.relativeModuleId} > ${test.fullName}: ${why}\n${diff}`.trimEnd()
      })
    const suites = modules.flatMap((module) => [module, ...module.children.allSuites()])
    const broken = unhandled.length + suites.reduce((sum, suite) => sum + suite.errors().length, 0)
    const skipped = count('skipped') + count('pending')
    const notes = tests.map((test) => test.result()).flatMap((each) => ('note' in each ? [each.note] : []))
    const missing = skipped === 0 ? [] : [...missingParts('secure-kafka', 'redis'), ...missingIn(notes)]
    const inCi = process.env.CI === 'true'
    if (inCi && missing.length > 0) process.exitCode = 1
    const totals = { passed: count('passed'), failed: count('failed') + broken, skipped }
    process.once('exit', () => console.log([...again, ...closingLines(totals, missing, inCi)].join('\n')))
  }
}

/** A test that finds a missing part only as it runs reports it: `skip('MISSING name: how to get it')`. */
export function missingIn(notes: readonly (string | undefined)[]): string[] {
  return [...new Set(notes.flatMap((note) => (note?.startsWith('MISSING ') ? [note.slice('MISSING '.length)] : [])))]
}

/** The lines; the last one counts. In CI, a test that was skipped for a missing part counts as failed. */
export function closingLines(
  { passed, failed, skipped }: { passed: number; failed: number; skipped: number },
  missing: readonly string[],
  inCi: boolean,
): string[] {
  if (skipped === 0) return [`${passed} passed, ${failed} failed`]
  if (missing.length === 0) return [`${passed} passed, ${failed} failed, ${skipped} skipped`]
  const names = missing.map((line) => line.split(':')[0]).join(', ')
  return [
    ...missing.map((line) => `MISSING ${line}`),
    inCi
      ? `${passed} passed, ${failed + skipped} failed: for want of ${names}`
      : `${passed} passed, ${failed} failed, ${skipped} SKIPPED for want of ${names}`,
  ]
}
