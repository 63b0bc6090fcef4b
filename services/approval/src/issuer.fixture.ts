import { grantOf } from '@bailiwick/approval-statement'
import type { Bus } from '@bailiwick/bus'
import type { DecodedEvent } from '@bailiwick/contracts'
import { jcsHash, type SigningKey, type Trust } from '@bailiwick/credentials'
import type { Genesis } from '@bailiwick/installation'
import { type Draft, openParticipant, type Participant } from '@bailiwick/instance'
import { type Clock, newId, systemClock, systemRandom } from '@bailiwick/kit'

/** Stands in for the issuer: believes approval, and writes the events that follow. Services never import one another. */
export async function standInIssuer(options: {
  bus: Bus
  trust: Trust
  genesis: Genesis
  eventKey: SigningKey<'issuer-event'>
  /** Why it makes no grant of an approval, if it makes none. */
  refuses?: () => string | undefined
  clock?: Clock
}): Promise<Participant> {
  const { bus, trust, genesis, eventKey, clock = systemClock } = options
  const issuer = await openParticipant({
    bus,
    trust,
    service: 'issuer',
    instance: newId('evt', systemClock.now(), systemRandom).slice(4),
    eventKey,
    follows: ['approvals.v1', 'grants.v1', 'revocations.v1'],
    time: clock,
    newEventId: () => newId('evt', systemClock.now(), systemRandom),
    onHeadError: (error) => Promise.reject(error),
    onFatal: (error) => {
      throw error
    },
    beforeHeads: async ({ producer, keyRing, projection }) => {
      for (const { type, id, value, jws } of genesis.entities) {
        if (projection.ledger.registry.record(type, id)) continue
        if (type === 'service-key') keyRing.certify(value.certificate)
        await producer.publishOne('registry.v1', {
          type: `${type}.registered`,
          subject: `${type} ${id}`,
          version: 1,
          data: { entity: { type, id }, value, hash: jcsHash(value), authorization: { kind: 'root', jws } },
        } as Draft<'registry.v1'>)
      }
    },
  })
  let last: Promise<unknown> = Promise.resolve()
  issuer.projection.onFact(({ topic, verdict, event }) => {
    if (topic !== 'approvals.v1' || verdict !== 'counts') return
    last = last.then(() => act(issuer, event as DecodedEvent<'approvals.v1'>, options.refuses?.()))
  })
  return issuer
}

async function act(
  { producer, projection }: Participant,
  event: DecodedEvent<'approvals.v1'>,
  refusal: string | undefined,
): Promise<void> {
  const { registry, requests, revocations } = projection.ledger
  if (event.type === 'enrolment.offered') {
    const { approver_id: id, name, groups, credential_id, public_key, sign_count, invitation, recovery } = event.data
    const credentials = [{ credential_id, public_key, sign_count, registered_at: event.time }]
    const value = { id, name, groups, credentials }
    const known = registry.record('approver', id)
    const verb = known?.value === undefined ? 'registered' : 'changed'
    const kind = recovery === undefined ? { kind: 'invitation' as const } : { kind: 'recovery' as const, recovery }
    await producer.publish('registry.v1', [
      {
        type: `approver.${verb}`,
        subject: `approver ${id}`,
        version: (known?.version ?? 0) + 1,
        data: {
          entity: { type: 'approver', id },
          value,
          hash: jcsHash(value),
          authorization: { ...kind, jws: invitation },
        },
      } as Draft<'registry.v1'>,
    ])
  } else if (event.type === 'request.approved' && event.data.statement.kind === 'approval') {
    const grant = grantOf(event.data.statement, event.data.assertions)
    if (refusal !== undefined) {
      const data = { grant_id: grant.id, agent: grant.agent, reason: refusal }
      await producer.publishOne('grants.v1', { type: 'credential.refused', subject: grant.id, data })
      return
    }
    await producer.publishOne('grants.v1', { type: 'grant.created', subject: grant.id, version: 1, data: { grant } })
  } else if (event.type === 'request.approved' && event.data.statement.kind === 'registry') {
    const { statement, assertions, request_id } = event.data
    const received = requests.requests.get(request_id)?.received
    for (const { type, id, version, value, after } of received?.kind === 'registry' ? received.entities : []) {
      const verb = value === undefined ? 'retired' : registry.get(type, id) ? 'changed' : 'registered'
      const put = value === undefined ? {} : { value, hash: after }
      await producer.publishOne('registry.v1', {
        type: `${type}.${verb}`,
        subject: `${type} ${id}`,
        version,
        data: { entity: { type, id }, ...put, authorization: { kind: 'approvers', statement, assertions } },
      } as Draft<'registry.v1'>)
    }
  } else if (event.type === 'revocation.requested') {
    const { revocation_id, kind, target, by } = event.data
    await producer.publishOne('revocations.v1', {
      type: 'revocation.declared',
      subject: `${kind} ${target}`,
      key: 'revocations',
      version: revocations.sequence + 1,
      data: { revocation_id, kind, target, reason: 'stopped_by_approver', by: { kind: 'approver', id: by } },
    })
  } else if (event.type === 'request.withdrawn' && event.data.grant_id !== undefined) {
    const by = { kind: 'approver' as const, id: event.data.by }
    await producer.publishOne('revocations.v1', {
      type: 'revocation.declared',
      subject: `grant ${event.data.grant_id}`,
      key: 'revocations',
      version: revocations.sequence + 1,
      data: {
        revocation_id: newId('rev', systemClock.now(), systemRandom),
        kind: 'grant',
        target: event.data.grant_id,
        reason: 'request_withdrawn',
        by,
      },
    })
  }
}
