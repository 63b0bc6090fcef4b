import type { Reporter, SerializedError, TestModule } from 'vitest/node'

/** Ends the run with the line CI reads. What broke outside a test (a file that does not load, a rejection nobody awaited) counts as failed. */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]).map((test) => test.result().state)
    const count = (state: string) => tests.filter((s) => s === state).length
    const broken = unhandled.length + modules.reduce((sum, module) => sum + module.errors().length, 0)
    const skipped = count('skipped') + count('pending')
    process.once('exit', () =>
      console.log(
        `${count('passed')} passed, ${count('failed') + broken} failed${skipped ? `, ${skipped} skipped` : ''}`,
      ),
    )
  }
}
