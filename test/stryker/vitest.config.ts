import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'
import { subjects } from './subjects.ts'

// Read by each of Stryker's workers.

const { BAILIWICK_STRYKER: subject = '', BAILIWICK_STRYKER_TESTS: own } = process.env
const tests = own?.split(' ') ?? subjects[subject]?.tests ?? []

class AsListed extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => tests.findIndex((name) => moduleId.endsWith(name))
    return files.toSorted((a, b) => place(a) - place(b))
  }
}

export default defineConfig({
  oxc: { target: 'esnext' },
  test: {
    testTimeout: 600_000, // Stryker has limits of its own
    include: [...tests],
    setupFiles: ['test/stryker/end-on-failure.ts'],
    sequence: { sequencer: AsListed },
    isolate: false,
  },
})
