import { least, spellObligations } from '@bailiwick/authzen'
import type { Obligation } from '@bailiwick/contracts'
import { actionText, permittedHash, type SaltedText } from '@bailiwick/credentials'
import type { Draft } from '@bailiwick/instance'
import { actingAgent } from '@bailiwick/projection'
import type { CallingPoint } from '../http/callers.ts'
import type { Allowing, Clocked, State } from '../ports.ts'
import type { Levels } from '../steps/authority.ts'
import type { Known } from '../steps/steps.ts'
import type { permitted } from '../steps/table.ts'
import { actedAs } from './acted-as.ts'
import { namedArguments } from './named-arguments.ts'

/** A call that may be allowed, as its tree is now. */
export type Permitted = Known<typeof permitted> & { decisionId: string; callId: string; point: CallingPoint }

type Ports = Allowing & Pick<Clocked, 'clock'> & Pick<State, 'projection'>

/** An ALLOW that is about to become durable. */
export interface Allow {
  draft: Draft<'decisions.v1'>
  obligations: readonly Obligation[]
  outcomeDue: string
  /** The event holds the call as a salted hash. The salt goes into the permit, and beside the call where calls are kept. */
  call: SaltedText | undefined
  isKept: boolean
}

/** `salt`: one for each decision, also when it is evaluated again: the void event and the one that counts then name the call alike. */
export function allow(facts: Permitted, salt: () => string, ports: Ports): Allow {
  const { decisionId, callId, point, request, token, tree, levels } = facts
  const { grant } = tree
  const [permission, ...below] = facts.reservation.permissions
  const obligations = obligationsOf(facts)
  const outcomeDue = outcomeDueOf(facts, ports)
  const call = saltedCall(facts, salt)
  const isKept = call !== undefined && (ports.keptCalls?.takes(call.text) ?? false)
  const draft: Draft<'decisions.v1'> = {
    type: 'decision.allowed',
    subject: decisionId,
    data: {
      decision_id: decisionId,
      call_id: callId,
      enforcement_point: point.id,
      ...(point.instance === undefined ? {} : { instance: point.instance }),
      actor: {
        agent: grant.agent,
        credential_id: token.jti,
        grant_id: grant.id,
        request_id: grant.request_id,
        task: grant.authority.task,
        ...actedAs(token),
      },
      action: {
        name: request.action.name,
        resource: request.resource,
        ...named(facts.digest, call),
        ...namedArguments(levels, facts.reservation.permissions, request),
      },
      ...(isKept ? { call_kept: true as const } : {}),
      permission,
      ...chained(levels, below),
      proof: facts.proof,
      proof_id: facts.proofId,
      reserved: facts.reservation.reserved,
      labels: facts.labels,
      owners: facts.owners,
      policy_set: facts.asked.policySet,
      policies: facts.policies,
      ...(obligations.length === 0 ? {} : { obligations: [...obligations] }),
      ...(request.observed.mapped === undefined ? {} : { mapped: request.observed.mapped }),
      ...(facts.continues === undefined
        ? {}
        : { continues: { decision_id: facts.continues.decisionId, asked: facts.continues.asked } }),
      ...(facts.stepUp === undefined ? {} : { step_up: facts.stepUp.requestId }),
      outcome_due: outcomeDue,
      as_of: ports.projection.ledger.revocations.sequence,
    },
  }
  return { draft, obligations, outcomeDue, call, isKept }
}

function obligationsOf({ decisionId, token, request, duties }: Permitted): Obligation[] {
  const { action, resource } = request
  const about = { subject: actingAgent(token), action: action.name, resource, decision: true, decisionId }
  return spellObligations(duties, about)
}

/** An answer that flows ends with its grant at the latest, and then its outcome has the usual time. */
function outcomeDueOf({ duties, request, tree }: Permitted, { outcomeSeconds, clock }: Ports): string {
  const { answer_seconds: flows = 0 } = request.observed
  const seconds = least(outcomeSeconds + flows, duties.reportSeconds) ?? 0
  const due = clock.now() + seconds * 1000
  const last = flows === 0 ? due : Date.parse(tree.grant.not_after) + outcomeSeconds * 1000
  return new Date(Math.min(due, last)).toISOString()
}

/**
 * The call as the event names it, or undefined if it names the call by its digest. The digest has no salt, so a reader can guess arguments
 * that have few possible values. The event therefore holds it only where a human signed it and an auditor must compare the two.
 */
function saltedCall({ tree, stepUp, request }: Permitted, salt: () => string): SaltedText | undefined {
  if (tree.grant.mode === 'per_action' || stepUp !== undefined) return undefined
  return { salt: salt(), text: actionText({ ...request.action, resource: request.resource }) }
}

function named(digest: string, call: SaltedText | undefined) {
  if (call === undefined) return { action_digest: digest }
  return { call: { salted_sha256: permittedHash({ action_digest: digest, action_salt: call.salt }, call.text) } }
}

/** The links that the action was allowed under, each with the permission that is charged at that link. */
function chained([, ...links]: Levels, permissions: readonly number[]) {
  const chain = links.map(({ holder: { id, agent } }, n) => ({
    delegation_id: id,
    agent,
    permission: permissions[n] ?? 0,
  }))
  return chain.length === 0 ? {} : { chain }
}
