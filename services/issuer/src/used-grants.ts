import type { Bus } from '@bailiwick/bus'
import type { DecodedEvent } from '@bailiwick/contracts'
import { errorCode } from '@bailiwick/errors'
import { DecisionState, signedEvent, type Tree, type TreeSpend } from '@bailiwick/projection'
import { complete } from './complete.ts'
import type { Issuer } from './context.ts'

/** The bus dates what it takes by a clock of its own. */
const clocksApartMs = 60_000

/**
 * Completes each grant of mode `per_action` whose one action was done. Of `decisions.v1` only their trees are folded, known by the
 * key of each message: what everybody else does is neither decoded nor kept, however much it is (docs/decisions/0019). It reads
 * from before the oldest of those that live, so it matters not who was the issuer when that happened. `act` is given what is to be
 * done whenever one may have become such; what could not be done then is found again.
 */
export async function completeUsedGrants(
  issuer: Issuer,
  bus: Bus,
  act: (complete: () => Promise<void>) => void,
): Promise<AsyncDisposable> {
  const { projection, keyRing, logger, clock } = issuer
  const { trees } = projection.ledger.grants
  // Each from its first decision on: it has none from before it was asked for.
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
  // Those grants then end by their time alone; decision points refuse a second action all the same.
  follower.failed.catch((err) => logger.error({ err }, 'used grants are not completed any more'))
  return follower
}

async function completeOne(issuer: Issuer, id: string): Promise<void> {
  try {
    await complete(issuer, id, 'its one action was done')
  } catch (error) {
    if (errorCode(error) !== 'grant_not_active') throw error // expired meanwhile
  }
}

const isOpen = (tree: Tree | undefined) =>
  tree?.grant.mode === 'per_action' && (tree.state === 'active' || tree.state === 'suspended')

/**
 * Something was taken, for good: while an outcome is still to come, its decision may yet be taken back, and the grant must be alive
 * when the decision point answers.
 */
function isDone({ taken, allows }: TreeSpend): boolean {
  return taken.calls > 0n && [...allows.values()].every(({ standing }) => standing !== 'open')
}
