import { describe, parseAuthority } from '@bailiwick/authority'
import type {
  Agent,
  Approver,
  EnforcementPoint,
  Entity,
  EntityType,
  PolicySet,
  Recovery,
  Rule,
  ToolServer,
} from '@bailiwick/contracts'
import { jcsHash } from '@bailiwick/credentials'
import { registryRuleId } from './match-rule.ts'
import { type PolicyFiles, policyChanges } from './policy-changes.ts'

/** One entity of a change, before and after; null if it did not, or will not, exist. */
export interface EntityEffect {
  type: EntityType
  id: string
  before: Entity | null
  after: Entity | null
  /** For a policy set: the text of its policies; null if the text is not available here. */
  text?: { before: PolicyFiles | null; after: PolicyFiles | null } | undefined
}

/**
 * Describes what a change of one entity does, in one line for a person to read before signing: the state after the change, and the state
 * before it. The line contains each member that differs, by its meaning or at least by its name. Names are written as JSON, because other
 * people chose them.
 */
export function changeEffect({ type, id, before, after, text }: EntityEffect): string {
  // A change that retires an entity is still read after the entity is gone.
  if (before === null && after === null) return `There is no ${type} ${quote(id)} any more.`
  if (type === 'policy-set') return policiesEffect(before as PolicySet | null, after as PolicySet | null, text)
  const { is, gone, members } = (wordings[type] ?? other(type)) as unknown as AnyWordings
  if (after === null) return `After this, ${gone(id, before as Entity)}.`
  const [then, now] = [asRecord(before), asRecord(after)]
  const names = [...new Set([...Object.keys(then), ...Object.keys(now)])].filter((name) => name !== 'id')
  const changed = names.filter((name) => !same(then[name], now[name]))
  const clauses = changed.flatMap((name) => {
    const word = Object.hasOwn(members, name) ? members[name] : undefined
    if (word === undefined) return [`${name} ${before === null ? 'is set' : 'is another'}`]
    return word(after, before) ?? []
  })
  return `After this, ${[is(id, after), ...clauses].join('; ')}.`
}

type Wording<T> = (after: T, before: T | null) => string | undefined

interface Wordings<T> {
  /** Describes the state afterwards, whichever members differ. */
  is: (id: string, after: T) => string
  gone: (id: string, before: T) => string
  /** Wording for each member that differs; undefined if `is` already covers it. */
  members: { [M in keyof T]?: Wording<T> }
}

/** Wordings for any type, once it is known to be the entity's type. */
interface AnyWordings {
  is: (id: string, after: Entity) => string
  gone: (id: string, before: Entity) => string
  members: Record<string, Wording<Entity> | undefined>
}

const quote = (text: string) => JSON.stringify(text)
const list = (words: readonly string[], none = 'none') => words.map(quote).join(', ') || none
const was = (text: string | undefined) => (text === undefined ? '' : ` (before: ${text})`)

const rule: Wordings<Rule> = {
  is: (id, { approvers, match, emergency }) =>
    emergency !== undefined
      ? `IN AN EMERGENCY ${peopleOf(approvers)}, one of whom acts, can go round all other rules: ${ceilingOf(emergency)}`
      : id === registryRuleId
        ? `${peopleOf(approvers)} can approve changes of the registry, of which each takes two people at least unless there is a single operator`
        : `${peopleOf(approvers)} can approve ${requestsOf(match)}`,
  gone: (id, { match }) =>
    id === registryRuleId
      ? 'approvers of any group can approve changes of the registry'
      : `the rule ${quote(id)} is gone: ${requestsOf(match)} go by the next rule that matches, or cannot be approved`,
  members: {
    approvers: (_, before) => (before === null ? undefined : `before, it took ${peopleOf(before.approvers)}`),
    match: (_, before) => (before === null ? undefined : `before, it was for ${requestsOf(before.match)}`),
    owner_may_approve: ({ owner_may_approve }) =>
      owner_may_approve
        ? 'the owner of an agent may approve what it asks'
        : 'the owner of an agent approves nothing of it',
    modes: ({ modes }, before) => `in the modes ${modes.join(', ')}${was(before?.modes.join(', '))}`,
    max_window_seconds: ({ max_window_seconds: now }, before) =>
      `for ${now} seconds at most${was(before === null ? undefined : String(before.max_window_seconds))}`,
    narrowing: ({ narrowing }) => (narrowing ? 'approvers may narrow it' : 'approvers may not narrow it'),
    order: ({ order }, before) =>
      `tried at place ${order}${was(before === null ? undefined : String(before.order))}, so that other rules may hold`,
    arguments: ({ arguments: shown }) =>
      shown === 'digest_only' ? 'one exact action is signed WITHOUT its arguments shown' : 'arguments are shown',
    closed_permissions: ({ closed_permissions }) =>
      closed_permissions ? 'only named arguments are allowed' : 'arguments that the request does not name are allowed',
    listed_delegates: ({ listed_delegates }) =>
      listed_delegates ? 'only listed sub-agents get a part' : 'any sub-agent may get a part',
    emergency: ({ emergency }, before) =>
      emergency === undefined
        ? 'it is no longer for emergencies'
        : was(before?.emergency && ceilingOf(before.emergency)).trim() ||
          `it was not for emergencies before${before === null ? '' : `, but held for ${requestsOf(before.match)}: THESE go by the next rule that matches, or cannot be approved`}`,
    continuous: ({ continuous }, before) =>
      `must stay fresh: ${freshOf(continuous)}${was(before === null ? undefined : freshOf(before.continuous))}`,
  },
}

const peopleOf = ({ quorum, group }: Rule['approvers']) =>
  quorum === 1 ? `one person of ${quote(group)}` : `${quorum} people of ${quote(group)}`

/** Describes what an emergency under a rule may do, in the words of a request for it. */
function ceilingOf(emergency: NonNullable<Rule['emergency']>): string {
  const parsed = parseAuthority({ type: 'bailiwick_task', task: 'emergency', ...emergency })
  return parsed.ok ? describe(parsed.authority).join(', ') : 'nothing, because it cannot be read'
}

const freshOf = (continuous: Rule['continuous']) =>
  continuous === undefined
    ? 'nothing'
    : `attestation within ${continuous.reattest_seconds} s, outcomes within ${continuous.outcome_seconds} s`

function requestsOf({ actions, resources, agents, agent_labels, labels, cost_above, ...more }: Rule['match']): string {
  const or = (words: readonly string[]) => words.map(quote).join(' or ') || 'nothing'
  const amounts = Object.entries(cost_above ?? {}).map(([currency, amount]) => `${amount} ${currency}`)
  const parts = [
    actions && `to do ${or(actions)}`,
    resources && `on ${scopesOf(resources)}`,
    agents && `by ${or(agents)}`,
    agent_labels && `by an agent labelled ${or(agent_labels)}`,
    labels && `with a tool labelled ${or(labels)}`,
    cost_above && `above ${amounts.join(' or ') || 'nothing'}`,
    ...Object.keys(more),
  ].filter((part) => part !== undefined)
  return parts.length === 0 ? 'all requests' : `requests ${parts.join(' ')}`
}

const scopesOf = (scopes: readonly { type: string; id?: string; id_prefix?: string }[]) =>
  scopes
    .map(({ type, id, id_prefix: prefix }) =>
      id !== undefined
        ? `${type} ${quote(id)}`
        : prefix !== undefined
          ? `every ${type} below ${quote(prefix)}`
          : `every ${type}`,
    )
    .join(' or ') || 'nothing'

const approver: Wordings<Approver> = {
  is: (id, { name, groups, credentials }) =>
    `${quote(name)} (${id}) can sign with ${credentials.length === 1 ? 'one passkey' : `${credentials.length} passkeys`} as a member of ${list(groups, 'no group')}`,
  gone: (id, { name }) => `${quote(name)} (${id}) can sign nothing any more`,
  members: {
    name: ({ name }, before) => (before === null ? undefined : `the name is ${quote(name)}${was(quote(before.name))}`),
    groups: ({ groups }, before) => {
      if (before === null) return undefined
      const joins = groups.filter((group) => !before.groups.includes(group))
      const leaves = before.groups.filter((group) => !groups.includes(group))
      const moves = [joins.length > 0 && `joins ${list(joins)}`, leaves.length > 0 && `leaves ${list(leaves)}`]
      return moves.filter((move) => move !== false).join(' and ') || 'the groups stand in another order'
    },
    credentials: ({ credentials }, before) => {
      if (before === null) return undefined
      const key = ({ public_key }: Approver['credentials'][number]) => public_key
      const [old, now] = [new Set(before.credentials.map(key)), new Set(credentials.map(key))]
      const [more, less] = [[...now].filter((each) => !old.has(each)), [...old].filter((each) => !now.has(each))]
      return `${more.length} NEW and ${less.length} removed of the passkeys`
    },
  },
}

const agent: Wordings<Agent> = {
  is: (id, { name, owner }) => `the agent ${quote(name)} (${id}) may ask, and ${quote(owner)} owns it`,
  gone: (id, { name }) => `the agent ${quote(name)} (${id}) can do nothing`,
  members: {
    name: (_, before) => (before === null ? undefined : `its name was ${quote(before.name)}`),
    owner: ({ attestor }, before) =>
      before === null
        ? undefined
        : attestor.kind === 'emergency'
          ? `BEFORE, ${quote(before.owner)} OWNED IT, WHO ACTED BY IT IN AN EMERGENCY`
          : `before, ${quote(before.owner)} owned it, whom rules may keep from approving what it asks`,
    labels: ({ labels }, before) =>
      `its labels are ${list(labels)}${was(before === null ? undefined : list(before.labels))}`,
    attestor: ({ attestor }, before) =>
      attestor.kind === 'emergency'
        ? 'IT IS THE IDENTITY OF ITS OWNER IN AN EMERGENCY'
        : `it shows which instance it is by ${attestor.kind}${before === null ? '' : `, by other keys or terms than before (${before.attestor.kind})`}`,
    proactive_requests: ({ proactive_requests }) =>
      proactive_requests ? 'it may ask for more than what was denied' : 'it may only answer denials',
    callbacks: ({ callbacks }) => `it may be called back at ${list(callbacks ?? [], 'no address')}`,
  },
}

const toolServer: Wordings<ToolServer> = {
  is: (id) => `the tools of ${quote(id)} are what this change says`,
  gone: (id) => `the tools of ${quote(id)} are no longer described, so they count as unlabelled`,
  members: {
    url: ({ url }, before) => `it is at ${quote(url)}${was(before === null ? undefined : quote(before.url))}`,
    manifest: (_, before) =>
      before === null ? undefined : 'its manifest is another one, so that what was approved of it before ends',
    tools: ({ tools }, before) => {
      const names = [...new Set([...Object.keys(before?.tools ?? {}), ...Object.keys(tools)])]
      const differ = names.filter((name) => !same(before?.tools[name], tools[name]))
      const labelsOf = (tool: ToolServer['tools'][string] | undefined) =>
        tool === undefined ? 'not described' : list(tool.labels, 'no labels')
      const words = differ.map((name) => {
        const [then, now] = [before?.tools[name], tools[name]]
        const cost = before !== null && !same(then?.cost, now?.cost) ? ', its cost comes from other arguments' : ''
        return `${quote(name)}: ${labelsOf(now)}${was(before === null ? undefined : labelsOf(then))}${cost}`
      })
      return `labelled so: ${words.join('; ') || 'none'}`
    },
  },
}

const enforcementPoint: Wordings<EnforcementPoint> = {
  is: (id, { resources, may_release }) =>
    `the enforcement point ${quote(id)} may ask about ${scopesOf(resources)} and ${may_release ? 'may' : 'may not'} give back what was reserved`,
  gone: (id) => `the enforcement point ${quote(id)} can ask and report nothing`,
  members: {
    resources: (_, before) =>
      before === null ? undefined : `before, it might ask about ${scopesOf(before.resources)}`,
    may_release: (_, before) =>
      before === null ? undefined : `before, it ${before.may_release ? 'might' : 'might not'} give back`,
    base_urls: ({ base_urls }, before) =>
      `it is at ${list(base_urls)}${was(before === null ? undefined : list(before.base_urls))}`,
    caller_jwk: (_, before) => (before === null ? undefined : 'another key makes its calls'),
    outcome_jwk: (_, before) => (before === null ? undefined : 'another key signs its outcomes'),
    bearer_sha256: ({ bearer_sha256: secret }) =>
      secret === undefined ? 'no secret makes its calls' : 'any holder of its secret can make its calls',
  },
}

const recovery: Wordings<Recovery> = {
  is: (id, { name, approver_id: person }) => `the recovery ${id} lets ${quote(name)} (${person}) in after 24 hours`,
  gone: (id, { name, approver_id: person }) => `the recovery ${id} no longer lets ${quote(name)} (${person}) in`,
  members: {},
}

/** Wordings for a type that has none of its own: each member that differs is named. */
const other = (type: EntityType): Wordings<Entity> => ({
  is: (id) => `${type} ${quote(id)} is what this change says`,
  gone: (id) => `${type} ${quote(id)} is gone`,
  members: {},
})

const wordings: { [T in EntityType]?: Wordings<Entity<T>> } = {
  rule,
  approver,
  agent,
  'tool-server': toolServer,
  'enforcement-point': enforcementPoint,
  recovery,
}

function policiesEffect(before: PolicySet | null, after: PolicySet | null, text: EntityEffect['text']): string {
  if (after === null) return 'After this, there are no policies: every action is denied.'
  const nothing = after.permits_nothing === true ? ' The set denies every action, and that is meant.' : ''
  const now = text?.after
  if (now === undefined || now === null || (before !== null && (text?.before ?? null) === null))
    return `After this, other policies decide: what they say cannot be compared here.${nothing}`
  const { said: changes, mayAllowMore } = policyChanges(text?.before ?? {}, now)
  const what = changes.join(', ') || 'changes no policy'
  const more = mayAllowMore ? 'More may be allowed than before.' : 'Nothing more is allowed than before.'
  return `After this, other policies decide: this ${what}. ${before === null ? '' : more}${nothing}`.trim()
}

const asRecord = (value: Entity | null) => (value ?? {}) as Record<string, unknown>
const same = (a: unknown, b: unknown) =>
  a === undefined || b === undefined ? a === b : jcsHash(a as object) === jcsHash(b as object)
