import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** The files of half a minute or more, on two cores: the longest first. */
const long = [
  'test/chaos/kill.test.ts',
  'test/chaos/distributed/takeover.test.ts',
  'test/chaos/distributed/faults.test.ts',
  'test/chaos/distributed/kills.test.ts',
  'packages/bus/src/kafka/kafka-faults.int.test.ts',
  'packages/bus/src/kafka/faults-cluster.int.test.ts',
  'packages/bus/src/kafka/faults-losses.int.test.ts',
  'test/browser/console.test.ts',
  'test/judges/gateway.test.ts',
  'test/parity/parity.test.ts',
  'test/consumers/packages.test.ts',
  'test/chaos/distributed/poison.test.ts',
  'test/chaos/taint-kills.test.ts',
  'infra/native/src/kafka.int.test.ts',
]

/**
 * Long files begin first in their group: the last one would otherwise run alone, next to idle cores. vitest itself
 * sorts by name and size.
 */
export default class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return longFirst(await super.sort(files), ({ moduleId }) => moduleId)
  }
}

/** The others keep their order. */
export function longFirst<T>(files: readonly T[], pathOf: (file: T) => string): T[] {
  const rank = (file: T) => {
    const at = long.findIndex((one) => pathOf(file).endsWith(`/${one}`))
    return at === -1 ? long.length : at
  }
  return files.toSorted((a, b) => rank(a) - rank(b))
}

/** For the test that checks that each of them exists. */
export { long as longFiles }
