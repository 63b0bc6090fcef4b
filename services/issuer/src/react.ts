import type { Bus } from '@bailiwick/bus'
import type { DecodedEvent } from '@bailiwick/contracts'
import { errorCode, errorKinds } from '@bailiwick/errors'
import { SerialQueue } from '@bailiwick/kit'
import type { EntityRecord, Fact, RequestRecord } from '@bailiwick/projection'
import type { Issuer } from './context.ts'
import { createGrant } from './grants/create-grant.ts'
import { expireGrants } from './grants/expire-grants.ts'
import { settleManifests } from './grants/settle-manifests.ts'
import { completeUsedGrants } from './grants/used-grants.ts'
import { rotateOnSchedule } from './keys/keys.ts'
import { applyRegistryChange, enrolApprover } from './registry/change-registry.ts'
import { endHalfChange } from './registry/end-half-change.ts'
import { acknowledgeRevocations } from './revocations/acknowledge-revocations.ts'
import { obeyStop, revokeRetired, revokeWithdrawn } from './revocations/revoke.ts'

const expiryEveryMs = 1000
const scheduleEveryMs = 60_000
const heardAfterMs = 2000
const retryAfterMs = 500

/**
 * Grants and the registry share a lane: a grant that is judged by a rule, but published after that rule is gone, would count for no
 * reader.
 */
type Lane = 'answers' | 'revocations'

/**
 * Acts on approval's events, and on what the registry no longer has. The work is derived from state, not from delivery: at the start the
 * same rules run over everything that was folded, so after a crash at any point exactly the remaining work is done. Revocations have their
 * own lane, which nothing else can hold up.
 */
export async function react(issuer: Issuer, bus: Bus): Promise<AsyncDisposable> {
  const { projection, logger } = issuer
  let stopping = false
  const queue = new SerialQueue({ maxPerKey: 100_000, max: 200_000 })
  /** One retry per name: a task that is tried each second anyway must not begin another chain of retries each time. */
  const again = new Map<string, NodeJS.Timeout>()
  // Retry retryable failures: no caller would repeat a withdrawal for which the log had no room at that moment.
  const run = (lane: Lane, what: string, task: () => Promise<void>) => {
    queue.serially(lane, task).catch((error) => {
      const code = errorCode(error)
      logger.error({ error_code: code, what }, 'could not act on an approval')
      const name = `${lane} ${what}`
      if (stopping || !errorKinds[code].retryable || again.has(name)) return
      const retry = () => {
        again.delete(name)
        run(lane, what, task)
      }
      again.set(name, setTimeout(retry, retryAfterMs))
    })
  }
  /** Completes a half-written change first: people signed the next one for a whole registry. */
  const change = (what: string, task: () => Promise<void> = async () => undefined) =>
    run('answers', what, async () => {
      await endHalfChange(issuer, bus)
      await task()
    })
  const onRequest = (request: RequestRecord) => {
    if (request.state === 'withdrawn' || request.state === 'cancelled')
      run('revocations', request.id, () => revokeWithdrawn(issuer, request.id))
    const { approved, received } = request
    if (request.state !== 'approved' || !approved) return
    if (received?.kind === 'registry')
      change(request.id, () => applyRegistryChange(issuer, approved, received.entities))
    else run('answers', request.id, () => createGrant(issuer, request))
  }
  const onAgent = (record: EntityRecord<'agent'> | undefined) => {
    if (record?.value === undefined && record !== undefined)
      run('revocations', record.id, () => revokeRetired(issuer, record))
  }
  const onRegistry = ({ entity: { type, id } }: DecodedEvent<'registry.v1'>['data']) => {
    if (type === 'agent') onAgent(projection.ledger.registry.record('agent', id))
    if (type === 'tool-server') run('answers', 'manifests', () => settleManifests(issuer))
  }
  const onFact = ({ topic, verdict, event }: Fact) => {
    if (verdict !== 'counts') return
    if (topic === 'registry.v1') onRegistry((event as DecodedEvent<'registry.v1'>).data)
    if (topic !== 'approvals.v1') return
    const approval = event as DecodedEvent<'approvals.v1'>
    if (approval.type === 'enrolment.offered') {
      change(approval.data.enrolment_id, () => enrolApprover(issuer, approval.data))
      return
    }
    if (approval.type === 'revocation.requested') {
      run('revocations', approval.data.revocation_id, () => obeyStop(issuer, approval.data))
      return
    }
    const request = projection.ledger.requests.requests.get(approval.data.request_id)
    if (request) onRequest(request)
  }
  // First, since only this can fail: then nothing else has begun, and all of this is tried again.
  const used = await completeUsedGrants(issuer, bus, (complete) => run('answers', 'used grants', complete))
  const acknowledging = acknowledgeRevocations(issuer)
  change('half a change')
  const unsubscribe = projection.onFact(onFact)
  for (const record of projection.ledger.registry.records())
    if (record.type === 'agent') onAgent(record as EntityRecord<'agent'>)
  run('answers', 'manifests', () => settleManifests(issuer))
  for (const offered of projection.ledger.requests.enrolments.values())
    change(offered.enrolment_id, () => enrolApprover(issuer, offered))
  for (const order of projection.ledger.requests.stopOrders.values())
    run('revocations', order.revocation_id, () => obeyStop(issuer, order))
  for (const request of projection.ledger.requests.requests.values()) onRequest(request)
  const timer = setInterval(() => run('answers', 'expiry', () => expireGrants(issuer)), expiryEveryMs)
  const rotate = () => run('answers', 'keys', () => rotateOnSchedule(issuer))
  rotate()
  // Once the running instances have been heard.
  const heard = setTimeout(rotate, heardAfterMs)
  const schedule = setInterval(rotate, scheduleEveryMs)
  return {
    async [Symbol.asyncDispose]() {
      stopping = true
      clearInterval(timer)
      clearTimeout(heard)
      clearInterval(schedule)
      for (const waiting of again.values()) clearTimeout(waiting)
      unsubscribe()
      await used[Symbol.asyncDispose]()
      for (const lane of ['answers', 'revocations'] satisfies Lane[]) await queue.serially(lane, async () => undefined)
      await acknowledging[Symbol.asyncDispose]()
    },
  }
}
