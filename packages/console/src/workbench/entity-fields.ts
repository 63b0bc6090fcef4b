/** How a member of an entity is shown and edited. */
export type FieldKind =
  | 'line'
  | 'whole'
  | 'seconds'
  | 'yes'
  | 'lines'
  | 'labels'
  | 'scopes'
  | 'asked'
  | 'amounts'
  | 'tools'
  | 'group'
  | 'groups'
  | 'person'
  | 'modes'
  | 'choice'
  | 'attestor'
  | 'jwk'
  | 'json'

export interface Field {
  path: readonly string[]
  label: string
  kind: FieldKind
  hint?: string
  /** An empty value is left out. */
  optional?: true
  /** For `choice`: the words of each value. */
  words?: Readonly<Record<string, string>>
  /** Set once, when the entity is registered. */
  fixed?: true
}

export interface EntityKind {
  /** For headings: `a rule`. */
  one: string
  many: string
  /** Its purpose, in one sentence. */
  about: string
  /** How an id looks. */
  example: string
  fields: readonly Field[]
  /** The value of a new one. Absent: this page makes no new ones. */
  fresh?: () => Record<string, unknown>
  /** Where people make and edit it instead. */
  elsewhere?: string
}

const emptyJwk = { kty: 'EC', crv: 'P-256', x: '', y: '' }

export const entityKinds: Readonly<Record<string, EntityKind>> = {
  agent: {
    one: 'an agent',
    many: 'Agents',
    about: 'A program with an identity of its own, and a person who answers for it.',
    example: 'spiffe://example.org/agent/reconciler',
    fields: [
      { path: ['name'], label: 'Name', kind: 'line' },
      {
        path: ['owner'],
        label: 'Owner',
        kind: 'person',
        hint: 'Answers for it. Rules can keep the owner from approving.',
      },
      { path: ['labels'], label: 'Labels', kind: 'labels', hint: 'Rules and policies can ask for them.' },
      {
        path: ['proactive_requests'],
        label: 'May ask first',
        kind: 'yes',
        hint: 'Otherwise it may only answer a denial.',
      },
      {
        path: ['callbacks'],
        label: 'Called back at',
        kind: 'lines',
        optional: true,
        hint: 'Addresses with https, one a line. None: it is never called.',
      },
      {
        path: ['attestor'],
        label: 'Proves itself by',
        kind: 'attestor',
        hint: 'Which instances it has, and how each shows which one it is.',
      },
    ],
    fresh: () => ({
      name: '',
      owner: '',
      attestor: { kind: 'registered_key', keys: [{ instance: 'i1', jwk: emptyJwk }] },
      labels: [],
      proactive_requests: true,
    }),
  },
  approver: {
    one: 'a person',
    many: 'People',
    about: 'A person who answers requests with a passkey.',
    example: 'olivia',
    fields: [
      { path: ['name'], label: 'Name', kind: 'line' },
      { path: ['groups'], label: 'Groups', kind: 'groups', hint: 'They decide what this person may approve.' },
    ],
    elsewhere: 'A person joins by an invitation: People, Invite a person.',
  },
  rule: {
    one: 'a rule',
    many: 'Rules',
    about: 'Says who may approve which requests. The first rule that matches applies.',
    example: 'large-payments',
    fields: [
      { path: ['order'], label: 'Order', kind: 'whole', hint: 'Rules are tried from the lowest to the highest.' },
      {
        path: ['match', 'agents'],
        label: 'For the agents',
        kind: 'lines',
        optional: true,
        hint: 'One a line. None: every agent.',
      },
      { path: ['match', 'agent_labels'], label: 'For agents labelled', kind: 'labels', optional: true },
      {
        path: ['match', 'actions'],
        label: 'To do',
        kind: 'lines',
        optional: true,
        hint: 'Actions, one a line. None: every action.',
      },
      {
        path: ['match', 'resources'],
        label: 'On',
        kind: 'asked',
        optional: true,
        hint: 'One a line: tool invoices/adjust, api https://host/path/*, or tool for every tool. None: everything.',
      },
      { path: ['match', 'labels'], label: 'With tools labelled', kind: 'labels', optional: true },
      {
        path: ['match', 'cost_above'],
        label: 'That may cost more than',
        kind: 'amounts',
        optional: true,
        hint: 'One a line: 500.00 EUR.',
      },
      { path: ['approvers', 'group'], label: 'Answered by the group', kind: 'group' },
      { path: ['approvers', 'quorum'], label: 'People who must sign', kind: 'whole' },
      {
        path: ['owner_may_approve'],
        label: 'The owner may approve',
        kind: 'yes',
        hint: 'Whether an agent’s own owner counts.',
      },
      { path: ['modes'], label: 'Modes', kind: 'modes' },
      {
        path: ['max_window_seconds'],
        label: 'Longest',
        kind: 'seconds',
        hint: 'As 30 min or 8 h, which is the most.',
      },
      { path: ['narrowing'], label: 'Approvers may narrow', kind: 'yes' },
      {
        path: ['arguments'],
        label: 'One exact action',
        kind: 'choice',
        optional: true,
        words: {
          required: 'approvers see all its arguments',
          digest_only: 'its digest may be signed without seeing its arguments',
        },
      },
      { path: ['closed_permissions'], label: 'Only named arguments', kind: 'yes', optional: true },
      { path: ['listed_delegates'], label: 'Only listed sub-agents', kind: 'yes', optional: true },
      {
        path: ['continuous'],
        label: 'Must stay fresh',
        kind: 'json',
        optional: true,
        hint: 'For the mode “while it stays proven”: {"reattest_seconds": 900, "outcome_seconds": 60}',
      },
    ],
    fresh: () => ({
      order: 100,
      match: {},
      approvers: { group: '', quorum: 1 },
      owner_may_approve: false,
      modes: ['per_action', 'window'],
      max_window_seconds: 3600,
      narrowing: true,
      arguments: 'required',
    }),
  },
  'tool-server': {
    one: 'a tool server',
    many: 'Tool servers',
    about: 'A server of tools: what it says of itself, by hash, and what each tool does.',
    example: 'invoices',
    fields: [
      { path: ['url'], label: 'Address', kind: 'line' },
      {
        path: ['manifest'],
        label: 'Manifest',
        kind: 'line',
        hint: 'The hash of what the server says of itself. bailiwick gateway add computes it.',
      },
      { path: ['tools'], label: 'Tools', kind: 'tools', hint: 'What each tool does, by its labels.' },
    ],
    fresh: () => ({ url: 'https://', manifest: '', tools: {} }),
  },
  'enforcement-point': {
    one: 'an enforcement point',
    many: 'Enforcement points',
    about: 'A program that lets an action through only if the decision point says so.',
    example: 'invoices-api',
    fields: [
      {
        path: ['resources'],
        label: 'May ask about',
        kind: 'scopes',
        hint: 'One a line: tool invoices/adjust, tool invoices/*, or tool.',
      },
      { path: ['base_urls'], label: 'Reached at', kind: 'lines', hint: 'Addresses, one a line.' },
      {
        path: ['may_release'],
        label: 'May give back',
        kind: 'yes',
        hint: 'Whether it may give back what a call did not use.',
      },
      { path: ['caller_jwk'], label: 'Key of its calls', kind: 'jwk' },
      { path: ['outcome_jwk'], label: 'Key of its outcomes', kind: 'jwk' },
      { path: ['bearer_sha256'], label: 'Hash of its secret', kind: 'line', optional: true },
    ],
    fresh: () => ({ caller_jwk: emptyJwk, outcome_jwk: emptyJwk, resources: [], base_urls: [], may_release: true }),
  },
  auditor: {
    one: 'an auditor',
    many: 'Auditors',
    about: 'May read evidence and look at credentials, and may change nothing.',
    example: 'security-desk',
    fields: [
      { path: ['name'], label: 'Name', kind: 'line' },
      { path: ['jwk'], label: 'Key', kind: 'jwk' },
    ],
    fresh: () => ({ name: '', jwk: emptyJwk }),
  },
  'policy-set': {
    one: 'the policy set',
    many: 'Policies',
    about: 'The Cedar policies that decide on every action.',
    example: 'active',
    fields: [
      { path: ['hash'], label: 'Hash', kind: 'line', fixed: true },
      { path: ['files'], label: 'Files', kind: 'json', fixed: true },
    ],
    elsewhere: 'Policies are edited under Rules, Policies.',
  },
  recovery: {
    one: 'a recovery',
    many: 'Recoveries',
    about: 'Lets one person enrol a new passkey, 24 hours after the root key announced it.',
    example: 'recovery-1',
    fields: [
      { path: ['name'], label: 'Lets in', kind: 'line', fixed: true },
      { path: ['approver_id'], label: 'As', kind: 'line', fixed: true },
      { path: ['groups'], label: 'Groups', kind: 'lines', fixed: true },
    ],
    elsewhere: 'Only the root key announces a recovery: `bailiwick recover`.',
  },
  'service-key': {
    one: 'a service key',
    many: 'Service keys',
    about: 'A key of one of Bailiwick’s own services, which the root key certified.',
    example: '',
    fields: [
      { path: ['service'], label: 'Service', kind: 'line', fixed: true },
      { path: ['purpose'], label: 'Purpose', kind: 'line', fixed: true },
      { path: ['state'], label: 'State', kind: 'line', fixed: true },
      { path: ['not_before'], label: 'From', kind: 'line', fixed: true },
      { path: ['not_after'], label: 'Until', kind: 'line', fixed: true },
    ],
    elsewhere: 'Keys of services change by `bailiwick keys`.',
  },
}

export const wordsOfType = (type: string): string => entityKinds[type]?.one.replace(/^(an?|the) /, '') ?? type

/** The kinds that a person can register on this page. */
export const madeHere = Object.entries(entityKinds).filter(([, kind]) => kind.fresh !== undefined)

type Members = Record<string, unknown>

export function memberOf(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((at, name) => (Object(at) as Members)[name], value)
}

/** The value with another member; undefined leaves it out. Members keep their order. */
export function withMember(value: unknown, [name = '', ...rest]: readonly string[], member: unknown): Members {
  const all = Object(value) as Members
  const next = rest.length === 0 ? member : withMember(all[name] ?? {}, rest, member)
  const { [name]: _, ...others } = all
  return next === undefined ? others : { ...all, [name]: next }
}
