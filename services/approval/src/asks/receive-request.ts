import { type Item, isEmergency, itemIdOf, requestIdOf, splitByRule } from '@bailiwick/approval-statement'
import { type Authority, misleadingPrefix, parseAuthority, unseenIn } from '@bailiwick/authority'
import { parseStrictJson, type Rule } from '@bailiwick/contracts'
import {
  type AccessRequest,
  claimedKeyId,
  decodeBase64url,
  jcsHash,
  type SaltedText,
  thumbprint,
  verifyAccessRequest,
  verifyingKey,
} from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { RequestRecord } from '@bailiwick/projection'
import type { Approval } from '../context.ts'
import { attestedByPerson, openersKey, refuseOutsideEmergency } from '../emergency/open.ts'
import { refuseCallback } from '../notify/callback-target.ts'
import { type AccessAsk, type StepUpAsk, taskIdOf } from '../requests.ts'
import { refuseBlind, refuseOtherArguments, standsFor } from './arguments.ts'
import type { Ask, Submission } from './ask.ts'
import { type BoundDenial, boundDenial } from './binding.ts'
import { duplicateOf, refuseCoolingDown } from './duplicates.ts'
import { stepUpAsk } from './step-up.ts'

const maxPending = 5
/** Asks of one agent that it took back within the hour before they were answered: people had to look at each. */
const maxTakenBack = 20
const hourMs = 3600 * 1000
const leewayMs = 5000
const longestMs = 8 * 3600 * 1000

/**
 * Takes an agent's signed ask, from the topic or over HTTP. Both get the same checks and ids, so an ask that is sent or delivered again
 * is the same request. If several rules split the ask, each part becomes a request. Resolves with the first of them when each
 * `request.received` is durable and counts. If it throws, the ask is refused and nothing has changed.
 */
export async function receiveRequest(approval: Approval, submission: Submission): Promise<RequestRecord> {
  const task = requestIdOf(submission.request)
  const known = wholeTask(approval, task)
  if (known) {
    // The ask's bytes are in the log: a sender that repeats them and proves nothing else gets the answer that a new ask would get.
    if (submission.isStranger) verifiedSignature(approval, submission)
    return known
  }
  const ask = await verifiedAsk(approval, submission)
  submission.onVerified?.()
  const words = signedWords(ask, submission)
  return approval.lanes.serially(`agent ${ask.agent.id}`, async () => {
    const meanwhile = wholeTask(approval, task) ?? wholeTask(approval, submission.once?.find(ask.agent.id) ?? '')
    if (meanwhile) return meanwhile
    const denial = boundDenial(approval, { ...ask, task }, submission.items ?? [])
    if (approval.projection.ledger.requests.ofTask(task).length === 0) {
      const duplicate = duplicateOf(approval, ask)
      if (duplicate) {
        submission.once?.keep(ask.agent.id, taskIdOf(duplicate))
        return fold(approval, duplicate, { task, agentId: ask.agent.id })
      }
      // A denial must not lock a door that exists for when the rules say no.
      if (submission.emergency === undefined) refuseCoolingDown(approval, ask)
      refuseTooMany(approval, ask.agent.id)
    }
    const asks = asReceived(approval, ask, { ...submission, task }, denial)
    const publish = () => publishMissing(approval, asks)
    await approval.prose.keepFor(approval.producer, task, words, publish)
    const record = wholeTask(approval, task)
    if (!record) throw new ServiceError('invariant_broken', 'a request that counts is not there')
    submission.once?.keep(ask.agent.id, task)
    return record
  })
}

/** An ask that repeats a pending one gets the pending task, also later under the id that the repeated ask would have had. */
function fold(
  { folded }: Approval,
  duplicate: RequestRecord,
  { task, agentId }: { task: string; agentId: string },
): RequestRecord {
  folded.put(task, taskIdOf(duplicate), agentId)
  return duplicate
}

/** The first request of a task, if every part of the task was received: a process may have died between two of them. */
function wholeTask({ projection }: Approval, task: string): RequestRecord | undefined {
  const parts = projection.ledger.requests.ofTask(task)
  const [first] = parts
  const count = first?.received?.kind === 'access' ? (first.received.item?.count ?? 1) : 1
  return parts.length >= count ? first : undefined
}

/** Parts that were received before stay as they are. If the rules changed since, so that the parts would now differ, it is too late. */
async function publishMissing(
  { projection, producer }: Approval,
  asks: readonly (AccessAsk | StepUpAsk)[],
): Promise<void> {
  const { requests } = projection.ledger.requests
  for (const ask of asks) {
    if (ask.kind === 'step_up') continue
    const { request_id: id, item, authority } = ask
    const received = requests.get(id)?.received as AccessAsk | undefined
    if (received && (received.item?.count !== item?.count || jcsHash(received.authority) !== jcsHash(authority)))
      throw new ServiceError('access_request_conflict', 'rules changed since a part of it was received: sign it again')
  }
  const missing = asks.filter(({ request_id }) => !requests.has(request_id))
  await producer.publish(
    'approvals.v1',
    missing.map((data) => ({ type: 'request.received', subject: data.request_id, version: 1, data })),
  )
}

/**
 * Verifies with the key of the instance that the JWS names. The name is only used to look the key up; it is not believed. The signature
 * is checked before the attestation: a token counts for a key only once the sender has proved that it has that key. What the registry
 * says, and what costs more than reading the sender's own words, comes after both: until then the sender is a stranger with a new key.
 */
async function verifiedAsk(approval: Approval, submission: Submission): Promise<Ask> {
  const { workloads } = approval
  const { agent, jwk, subject, asked } = verifiedSignature(approval, submission)
  const shown = submission.attestation
  const parsed = parseAuthority(asked.authority)
  if (!parsed.ok) throw new ServiceError(parsed.code, parsed.detail)
  const unseen = unseenIn(parsed.authority)
  if (unseen !== undefined) throw new ServiceError('request_malformed', `${unseen}: invisible characters`)
  const misleading = misleadingPrefix(parsed.authority)
  if (misleading !== undefined) throw new ServiceError('prefix_not_a_path', misleading)
  const { authority } = parsed
  const attestation = submission.emergency
    ? attestedByPerson(jwk, approval.clock.now())
    : await workloads.attest(agent, subject, jwk, shown)
  // Taken from the proved agent's share: before the proof, anybody could use up what belongs to this agent.
  const rated = approval.asks.take(agent.id)
  if (!rated.ok)
    throw new ServiceError('rate_limited', 'this agent asks too often', { retryAfterSeconds: rated.retryAfterSeconds })
  refuseCallback(agent, asked.callback)
  const items = asked.grant_id === undefined ? itemsByRule(approval, asked, authority) : []
  const ask = { agent, instanceKey: thumbprint(jwk), attestation, asked, authority, items }
  if (submission.emergency) refuseOutsideEmergency(approval, submission.emergency.by, ask)
  return ask
}

/** The signer, the key and the signed claims. The signature is verified when this returns. */
function verifiedSignature(approval: Approval, { request, attestation: shown, emergency }: Submission) {
  const { projection, trust, clock, workloads } = approval
  const { registry } = projection.ledger
  const subject = claimedSubject(request)
  if (subject === undefined) throw new ServiceError('token_malformed', 'accessRequest: sub')
  const instance = registry.instance(subject)
  if (instance === undefined) throw new ServiceError('agent_unknown')
  const { agent } = instance
  const jwk = isEmergency(agent)
    ? openersKey(agent, subject, emergency)
    : workloads.keyFor(instance, subject, claimedKeyId(request), shown)
  if (emergency !== undefined && !isEmergency(agent))
    throw new ServiceError('emergency_refused', 'agent: not of a person')
  const key = verifyingKey('agent', jwk)
  if (!key) throw new ServiceError('agent_unknown')
  const { installation } = trust
  const verified = verifyAccessRequest({ request, key, subject, installation, now: clock.now(), leewayMs })
  if (!verified.ok) throw new ServiceError(verified.code, verified.detail)
  return { agent, jwk, subject, asked: verified.value }
}

function itemsByRule({ projection }: Approval, asked: AccessRequest, authority: Authority): readonly Item[] {
  const split = splitByRule(projection.ledger.registry.view(), { agent: asked.sub, authority })
  if (!split.ok) throw new ServiceError(split.code, split.detail)
  const { items } = split
  for (const { rule } of items) refuseMode(asked, rule)
  // Each part would become a grant that allows the one action, so together they would allow it several times (V10).
  if (asked.mode === 'per_action' && items.length > 1)
    throw new ServiceError('approval_rule_missing', 'one action is asked, and rules would split it: ask for it alone')
  if (asked.mode === 'per_action') for (const { rule } of items) refuseBlind(asked, rule)
  return items
}

function refuseMode({ mode, action_digest }: AccessRequest, rule: Rule): void {
  // A continuous window in which nothing must stay fresh would be an ordinary window by another name.
  if (!rule.modes.includes(mode) || (mode === 'continuous' && rule.continuous === undefined))
    throw new ServiceError('approval_rule_mismatch', 'mode: not one that can be approved here')
  if ((mode === 'per_action') !== (action_digest !== undefined))
    throw new ServiceError('request_malformed', 'action_digest: belongs to mode per_action alone')
}

/**
 * Prose and arguments, each checked against the hash that the agent signed. A hash without its words is refused too: the log shows the
 * hashes of other agents' words, which would otherwise be shown, and erased, as this agent's.
 */
function signedWords(ask: Ask, { purpose, arguments: said }: Submission): SaltedText[] {
  const { asked } = ask
  if (!standsFor(asked.purpose, purpose))
    throw new ServiceError('request_malformed', 'purpose: not the text that was signed')
  refuseOtherArguments(ask, said)
  return [purpose, said].filter((each) => each !== undefined)
}

function refuseTooMany({ own, clock }: Approval, agentId: string): void {
  const now = clock.now()
  const records = own.of(agentId)
  const pending = records.filter(
    ({ state, received }) => state === 'pending' && received && now < Date.parse(received.expires_at),
  )
  if (new Set(pending.map(taskIdOf)).size >= maxPending)
    throw new ServiceError('rate_limited', `${maxPending} requests of this agent are pending`)
  const takenBack = new Map<string, number>()
  for (const record of records)
    if (record.state === 'cancelled' && record.approved === undefined && now < record.changedAt + hourMs)
      takenBack.set(taskIdOf(record), record.changedAt)
  if (takenBack.size < maxTakenBack) return
  const leftMs = Math.min(...takenBack.values()) + hourMs - now
  throw new ServiceError('rate_limited', `this agent took ${maxTakenBack} requests back within the hour`, {
    retryAfterSeconds: Math.ceil(leftMs / 1000),
  })
}

/** Relative times become absolute here, once, so that the window that is shown, signed and audited is the same. */
function asReceived(
  approval: Approval,
  ask: Ask,
  { task, request, receivedBy }: Submission & { task: string },
  denial: BoundDenial | undefined,
): (AccessAsk | StepUpAsk)[] {
  const { clock, requestLifeMs } = approval
  const { instanceKey, attestation, asked, items } = ask
  if (asked.grant_id !== undefined) return [stepUpAsk(approval, ask, { id: task, request, receivedBy }, denial)]
  const now = clock.now()
  const { from, until } = windowOf(asked, now)
  return items.map(({ authority, rule }, index) => {
    if (!(until - from <= rule.max_window_seconds * 1000))
      throw new ServiceError('approval_rule_mismatch', `not_after: rule ${rule.id} allows ${rule.max_window_seconds} s`)
    const part = items.length > 1
    return {
      kind: 'access',
      request_id: part ? itemIdOf(request, index) : task,
      ...(part ? { item: { task, index, count: items.length } } : {}),
      request,
      request_hash: jcsHash(asked),
      agent: asked.sub,
      instance_key: instanceKey,
      authority,
      mode: asked.mode,
      ...(asked.action_digest === undefined ? {} : { action_digest: asked.action_digest }),
      ...(asked.arguments === undefined ? {} : { arguments: asked.arguments }),
      rebind: asked.rebind ?? 'none',
      not_before: new Date(from).toISOString(),
      not_after: new Date(until).toISOString(),
      ...(asked.purpose === undefined ? {} : { purpose: asked.purpose }),
      received_by: receivedBy,
      attestation,
      ...(denial === undefined ? {} : { denial: { decision_id: denial.decision_id } }),
      ...(asked.callback === undefined ? {} : { callback: asked.callback }),
      expires_at: new Date(Math.min(now + requestLifeMs, until)).toISOString(),
    }
  })
}

function windowOf(asked: AccessRequest, now: number): { from: number; until: number } {
  const from = Math.max(now, asked.not_before === undefined ? now : Date.parse(asked.not_before))
  const until =
    asked.not_after === undefined ? from + (asked.expires_in_seconds ?? 0) * 1000 : Date.parse(asked.not_after)
  if (!(from < until)) throw new ServiceError('request_malformed', 'not_after: not after the start')
  if (!(until - now <= longestMs)) throw new ServiceError('request_malformed', 'not_after: more than 8 h from now')
  return { from, until }
}

/** The `sub` that an ask claims. Use it only to find the key to verify with. */
function claimedSubject(request: string): string | undefined {
  const payload = decodeBase64url(request.split('.')[1] ?? '')
  if (payload === undefined) return undefined
  try {
    const claims = parseStrictJson(payload)
    const sub = typeof claims === 'object' && claims !== null && 'sub' in claims ? claims.sub : undefined
    return typeof sub === 'string' ? sub : undefined
  } catch {
    return undefined
  }
}
