import type { Bus } from '@bailiwick/bus'
import type { DecodedEvent } from '@bailiwick/contracts'
import { errorCode } from '@bailiwick/errors'
import { DecisionState, signedEvent, type Tree, type TreeSpend } from '@bailiwick/projection'
import type { Issuer } from '../context.ts'
import { complete } from './complete.ts'

/** The bus dates messages by its own clock, which may differ by this much. */
const clocksApartMs = 60_000

/**
 * Completes each grant of mode `per_action` whose one action was done. Of `decisions.v1` it folds only the trees of such grants, known by
 * each message's key: all other messages are neither decoded nor kept, however many they are (docs/decisions/0019). It reads from before
 * the oldest grant that is alive, so it does not matter which issuer was active then. `act` gets the work whenever there may be some; what
 * could not be done then is found again.
 */
export async function completeUsedGrants(
  issuer: Issuer,
  bus: Bus,
  act: (complete: () => Promise<void>) => void,
): Promise<AsyncDisposable> {
  const { projection, keyRing, logger, clock } = issuer
  const { trees } = projection.ledger.grants
  // Each tree is read from its first decision on: it has none from before its request.
  const decisions = new DecisionState({ base: false })
  const complete = async () => {
    for (const [id, spend] of decisions.trees) if (isOpen(trees.get(id)) && isDone(spend)) await completeOne(issuer, id)
    decisions.forget(Number.POSITIVE_INFINITY, (id) => !isOpen(trees.get(id)))
  }
  const begun = [...trees.values()]
    .filter(isOpen)
    .flatMap(({ createdAt, grant }) => [createdAt, Date.parse(grant.not_before)])
  const since = { time: Math.min(clock.now(), ...begun) - clocksApartMs }
  const follower = await bus.follow(['decisions.v1'], since, async (batch) => {
    let changed = false
    for (const message of batch) {
      if (!isOpen(trees.get(message.key))) continue
      const read = signedEvent(keyRing, message)
      if (typeof read === 'string') continue // evidence parks it
      if (decisions.apply(read.event as DecodedEvent<'decisions.v1'>) === 'counts') changed = true
    }
    if (changed) act(complete)
  })
  // Those grants then end by time only; decision points still refuse a second action.
  follower.failed.catch((err) => logger.error({ err }, 'used grants are not completed any more'))
  return follower
}

async function completeOne(issuer: Issuer, id: string): Promise<void> {
  try {
    await complete(issuer, id, 'its one action was done')
  } catch (error) {
    if (errorCode(error) !== 'grant_not_active') throw error // it expired meanwhile
  }
}

const isOpen = (tree: Tree | undefined) =>
  tree?.grant.mode === 'per_action' && (tree.state === 'active' || tree.state === 'suspended')

/**
 * The action was done for good: while an outcome is still to come, its decision may be taken back, and the grant must be alive when the
 * decision point answers.
 */
function isDone({ taken, allows }: TreeSpend): boolean {
  return taken.calls > 0n && [...allows.values()].every(({ standing }) => standing !== 'open')
}
