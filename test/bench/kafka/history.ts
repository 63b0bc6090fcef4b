import { randomBytes } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import type { Bus, Message } from '@bailiwick/bus'
import {
  actionHash,
  type DecodedEvent,
  decodeEvent,
  encodeEnvelope,
  formatSequence,
  topicNamed,
} from '@bailiwick/contracts'
import { readKeyFile, type SigningKey, sha256, signEvent, signOutcome } from '@bailiwick/credentials'
import { paths } from '@bailiwick/installation'
import { newId } from '@bailiwick/kit'
import { sample, sampleKey } from '@bailiwick/standalone/sample'
import type { Processes } from '@bailiwick/testkit'

const topic = 'decisions.v1'
const definition = topicNamed(topic)
const perPublish = 256
const publishing = 32
const decidedEarlier = 'decision.allowed'

type Allowed = Extract<DecodedEvent<'decisions.v1'>, { type: typeof decidedEarlier }>

interface Tree {
  grantId: string
  requestId: string
  version: number
  head: string | undefined
}

/** The one decision that was really made, and the event that its producer's successor names as its predecessor. */
export async function readDecision(bus: Bus, decisionId: string): Promise<{ event: Allowed; predecessor: string }> {
  const found = Promise.withResolvers<{ event: Allowed; predecessor: string }>()
  await using _ = await bus.follow([topic], 'start', async (batch: readonly Message[]) => {
    for (const { bytes } of batch) {
      const decoded = definition && decodeEvent(definition, bytes)
      if (!decoded?.ok || decoded.event.type !== decidedEarlier) continue
      const event = decoded.event as Allowed
      if (event.data.decision_id !== decisionId) continue
      found.resolve({ event, predecessor: `${event.source}#${event.sequence}:${sha256(bytes)}` })
    }
  })
  return await found.promise
}

/**
 * Writes the events of a policy-decision instance for `count` decisions, each with its outcome, in turn under these
 * grants. They are signed with its key, numbered and chained, consecutive in each tree, and every outcome is signed by
 * the enforcement point.
 */
export async function writeHistory(options: {
  bus: Bus
  system: Pick<Processes, 'data' | 'trust'>
  like: Awaited<ReturnType<typeof readDecision>>
  grants: readonly { grantId: string; requestId: string }[]
  count: number
  progress: (written: number) => void
}): Promise<void> {
  const { bus, system, like, grants, count } = options
  const key: SigningKey<'pdp-event'> = readKeyFile(paths(system.data).keys('policy-decision'), 'event', 'pdp-event')
  const outcomeKey = sampleKey(system.data, 'point-outcome')
  // The tree of the real decision goes on behind it. From version 1 again, every event of it would be void.
  const { event: real } = like
  const trees = grants.map((grant): Tree => {
    const isOfReal = grant.grantId === real.partitionkey
    return { ...grant, version: isOfReal ? (real.version ?? 0) : 0, head: isOfReal ? real.id : undefined }
  })
  const source = '/policy-decision/bench'
  let sequence = 0
  let previous = like.predecessor
  const id = (prefix: 'evt' | 'dec' | 'call') => newId(prefix, Date.now(), (n) => randomBytes(n))

  const sign = (tree: Tree, type: string, subject: string, data: object): { key: string; bytes: Uint8Array } => {
    const event = id('evt')
    const unsigned = encodeEnvelope({
      specversion: '1.0',
      id: event,
      source,
      type,
      time: new Date().toISOString(),
      subject,
      datacontenttype: 'application/json',
      dataschema: `urn:bailiwick:schema:${topic}:${type}`,
      partitionkey: tree.grantId,
      version: ++tree.version,
      sequence: formatSequence(++sequence),
      previous,
      data: tree.head === undefined ? data : { ...data, after: tree.head },
    })
    const bytes = signEvent(unsigned, key)
    previous = sha256(bytes)
    tree.head = event
    return { key: tree.grantId, bytes }
  }

  const { after: _, ...template } = like.event.data
  const decide = (tree: Tree, number: number) => {
    const decision_id = id('dec')
    const call_id = id('call')
    const now = Date.now()
    const allowed = sign(tree, decidedEarlier, decision_id, {
      ...template,
      decision_id,
      call_id,
      // Of two ALLOWs of a tree with one proof, the second is void.
      proof_id: sha256(call_id),
      actor: { ...template.actor, grant_id: tree.grantId, request_id: tree.requestId },
      outcome_due: new Date(now + 60_000).toISOString(),
    })
    const outcome = signOutcome(
      {
        installation: system.trust.installation,
        enforcement_point: sample.enforcementPoint,
        sequence: number,
        call_id,
        decision_id,
        action_digest: actionHash(template.action),
        status: 'succeeded',
        at: new Date(now).toISOString(),
      },
      outcomeKey,
    )
    const reported = sign(tree, 'outcome.reported', decision_id, {
      decision_id,
      grant_id: tree.grantId,
      enforcement_point: sample.enforcementPoint,
      sequence: number,
      status: 'succeeded',
      released: { calls: 0, egress_bytes: 0, cost: {} },
      outcome,
    })
    return [allowed, reported]
  }

  const pending = new Set<Promise<unknown>>()
  for (let done = 0; done < count; ) {
    const events = []
    for (; events.length < perPublish && done < count; done++)
      events.push(...decide(trees[done % trees.length] as Tree, done + 1))
    const published = bus.publish(topic, events).finally(() => pending.delete(published))
    pending.add(published)
    options.progress(done)
    if (pending.size >= publishing) await Promise.race(pending)
    await setImmediate()
  }
  await Promise.all(pending)
}
