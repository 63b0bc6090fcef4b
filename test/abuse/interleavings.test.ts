import { expect, inject, it } from 'vitest'
import { generator, seed } from '../chaos/seed.ts'
import { Interleavings, type Outcome } from './interleaving.ts'

// The real use cases over a bus that is slow, breaks and repeats messages, in an order that a seed chooses. The
// registry changes between showing, signing, publishing and acting. BAILIWICK_SEED=… begins at the same seed again.

const [smoke, many] = inject('realParts') === undefined ? [240, 10_000] : [60, 1000]
const stories = process.env.BAILIWICK_NIGHTLY === '1' ? many : smoke
/** How many stories each system plays. Its registry grows with each. */
const together = 20
/** How many systems run at the same time: each mostly waits for its turns. */
const atOnce = 3

/** A machine that is too slow to start a system is not a finding: another system is started. */
async function opened(tries = 5): Promise<Interleavings> {
  return Interleavings.open().catch((error) => (tries > 1 ? opened(tries - 1) : Promise.reject(error)))
}

it(`each grant is what was signed, once, under the rule and people of that moment, in ${stories} orders (V3, V10)`, async () => {
  const wrong: string[] = []
  const outcomes: Record<Outcome, number> = { granted: 0, refused: 0, 'not approved': 0 }
  const tell = async (from: number) => {
    await using system = await opened()
    for (let n = from; n < Math.min(stories, from + together); n++) {
      const mine = (seed + n) >>> 0
      const told = await system.tell(generator(mine))
      outcomes[told.outcome]++
      wrong.push(...told.wrong.map((each) => `BAILIWICK_SEED=${mine}: ${each}`))
    }
    wrong.push(...(await system.findings()).map((each) => `seeds ${seed + from}…: ${JSON.stringify(each)}`))
  }
  const left = Array.from({ length: Math.ceil(stories / together) }, (_, n) => n * together)
  const tellTheRest = async () => {
    for (let from = left.shift(); from !== undefined && wrong.length < 20; from = left.shift()) await tell(from)
  }
  await Promise.all(Array.from({ length: atOnce }, tellTheRest))
  console.log(`interleavings: ${stories} from seed ${seed}: ${JSON.stringify(outcomes)}, ${wrong.length} wrong`)
  expect(wrong).toEqual([])
  // Otherwise the test tried nothing.
  expect(outcomes.granted).toBeGreaterThan(stories / 10)
  expect(outcomes['not approved'] + outcomes.refused).toBeGreaterThan(stories / 50)
}, 7_200_000)
