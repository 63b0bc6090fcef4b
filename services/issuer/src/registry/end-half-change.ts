import type { Bus } from '@bailiwick/bus'
import type { DecodedEvent, EntityChange, RegistryStatement } from '@bailiwick/contracts'
import { errorCode, errorKinds, ServiceError } from '@bailiwick/errors'
import { signedEvent } from '@bailiwick/projection'
import type { Issuer } from '../context.ts'
import { writeEntity } from './change-registry.ts'

/** The longest time between proposal and statement: no request lives longer (`BAILIWICK_REQUEST_SECONDS`), and clocks differ. */
const proposedWithinMs = 9 * 3600 * 1000

/**
 * Writes the rest of a half-written change, before people change anything else, however long ago it was begun. The registry itself says
 * what was signed. `approvals.v1`, of which otherwise only a few hours are read, has its full text. Readers judge the rest as usual; they
 * accept it as long as no other change by people came between.
 */
export async function endHalfChange(issuer: Issuer, bus: Bus): Promise<void> {
  const { half } = issuer.projection.ledger.registry
  if (half === undefined) return
  const { statement } = half
  const { change_id: change } = statement
  issuer.logger.warn({ change }, 'A REGISTRY CHANGE WAS LEFT HALF MADE: the rest of it is made now')
  try {
    for (const entity of await proposedBy(issuer, bus, statement)) await writeEntity(issuer, entity, half)
  } catch (error) {
    const code = errorCode(error)
    if (errorKinds[code].retryable) throw error
    // A change that cannot be completed must not block the next one.
    issuer.logger.error({ change, error_code: code }, 'A REGISTRY CHANGE STAYS HALF MADE')
  }
}

async function proposedBy(
  { keyRing }: Issuer,
  bus: Bus,
  { change_id: id, issued_at }: RegistryStatement,
): Promise<readonly EntityChange[]> {
  let found: readonly EntityChange[] | undefined
  const since = { time: Date.parse(issued_at) - proposedWithinMs }
  await using follower = await bus.follow(['approvals.v1'], since, async (batch) => {
    for (const message of batch) {
      if (found !== undefined || message.key !== id) continue
      const read = signedEvent(keyRing, message)
      if (typeof read === 'string') continue // evidence parks it
      const { type, data } = read.event as DecodedEvent<'approvals.v1'>
      if (type === 'request.received' && data.kind === 'registry') found = data.entities
    }
  })
  await Promise.race([follower.caughtUp, follower.failed])
  if (found === undefined)
    throw new ServiceError('registry_change_refused', `${id}: what it proposed is no longer on the topic`)
  return found
}
