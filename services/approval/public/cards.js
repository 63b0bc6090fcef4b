import { countdown, duration, el, field, visible, when } from './dom.js'

const modes = { window: 'For a time', per_action: 'One exact action', continuous: 'While it stays proven' }

const reasons = {
  approval_rule_missing: 'No rule says who may approve this.',
  approver_not_in_group: 'You are not in the group that answers this.',
  approver_is_owner: 'You own this agent; somebody else must answer.',
}

function facts(rows) {
  return el(
    'dl',
    { class: 'facts' },
    ...rows.filter(Boolean).flatMap(([term, ...value]) => [el('dt', {}, term), el('dd', {}, ...value)]),
  )
}

/** The rest of what an approval statement says, from the statement itself. */
export function statementFacts({
  agent,
  mode,
  not_before: from,
  not_after: until,
  action_digest: digest,
  rebind,
  rule,
}) {
  return facts([
    ['Agent', visible(agent)],
    ['Mode', modes[mode]],
    ['Valid', 'from ', when(from), ' until ', when(until)],
    digest ? ['Exact action', el('code', {}, digest)] : undefined,
    rebind === 'attested' ? ['New key', 'May be bound to a new key of the same agent'] : undefined,
    ['Rule', visible(`${rule.id}: ${rule.quorum} of ${rule.group}`)],
  ])
}

export function linesOf(lines) {
  return el('ul', { class: 'lines' }, ...lines.map((line) => el('li', {}, visible(line))))
}

function whoAgent({ agent, agent_name: name, owner }) {
  return [
    el('h3', {}, visible(name ?? 'An agent that is no longer registered')),
    el('p', { class: 'id' }, visible(agent), owner ? [' · owned by ', visible(owner)] : undefined),
  ]
}

/** The agent's own words, boxed: they are not what is signed, and must not look like it. */
function proseBox(prose) {
  if (prose === null) return undefined
  return el(
    'figure',
    { class: 'prose' },
    el('figcaption', {}, 'In the agent’s own words. Nobody checked them, and you do not sign them.'),
    el('blockquote', {}, visible(prose.text, { lines: true }), prose.cut ? ' … (cut)' : undefined),
  )
}

const signatures = ({ signed_by: names, rule }) =>
  rule && rule.quorum > 1
    ? [
        'Signatures',
        `${names.length} of ${rule.quorum}`,
        names.length > 0 ? [': ', visible(names.join(', '))] : undefined,
      ]
    : undefined

/** One ask, with the fields by which it can be made narrower. `narrowed()` gives what changed. */
export function requestCard(request, { approve, deny }) {
  const form = narrowingForm(request)
  const card = el(
    'article',
    { class: 'card', 'data-request': request.id, 'aria-label': `Request of ${request.agent_name ?? request.agent}` },
    el(
      'div',
      { class: 'head' },
      el('div', {}, ...whoAgent(request)),
      el('span', { class: 'badge' }, modes[request.mode]),
    ),
    el('h4', {}, 'What it asks to do'),
    linesOf(request.lines),
    facts([
      ['Valid', 'from ', when(request.not_before), ' until ', when(request.not_after)],
      ['Answer within', countdown(request.expires_at)],
      request.action_digest ? ['Exact action', el('code', {}, request.action_digest)] : undefined,
      request.rebind === 'attested' ? ['New key', 'May be bound to a new key of the same agent'] : undefined,
      request.rule ? ['Rule', visible(`${request.rule.id}: ${request.rule.group}`)] : undefined,
      signatures(request),
    ]),
    proseBox(request.prose),
    form.element,
    request.why_not ? el('p', { class: 'note' }, reasons[request.why_not] ?? request.why_not) : undefined,
    el(
      'div',
      { class: 'actions' },
      request.may_deny ? el('button', { type: 'button', onclick: () => deny(request) }, 'Deny…') : undefined,
      request.may_approve
        ? el('button', { type: 'button', class: 'primary', onclick: () => approve(request, form.narrowed) }, 'Approve…')
        : undefined,
    ),
  )
  return card
}

function narrowingForm(request) {
  const { authority, rule, may_approve: may, signed_by: signed } = request
  // What others have signed already is signed again word for word, or not at all.
  if (!may || !rule?.narrowing || signed.length > 0) return { element: undefined, narrowed: () => ({}) }
  const { calls, cost = {}, egress_bytes: egress } = authority.budget
  const number = (attributes) => el('input', { type: 'number', min: 0, step: 1, inputmode: 'numeric', ...attributes })
  const callsInput = number({ value: calls, max: calls, placeholder: calls === undefined ? 'no limit' : undefined })
  const egressInput = egress === undefined ? undefined : number({ value: egress, max: egress })
  const costInputs = Object.entries(cost).map(([currency, most]) => [
    currency,
    number({ value: most, max: most, step: 'any', inputmode: 'decimal' }),
  ])
  const minutes = Math.floor((Date.parse(request.not_after) - Date.now()) / 60_000)
  const minutesInput = number({ min: 1, max: minutes, placeholder: `as asked: ${duration(minutes * 60)} left` })
  const element = el(
    'fieldset',
    { class: 'narrow' },
    el('legend', {}, 'Make it narrower'),
    field('Calls, at most', callsInput),
    ...costInputs.map(([currency, input]) => field(`${currency}, at most`, input)),
    egressInput ? field('Bytes sent out, at most', egressInput) : undefined,
    field('End in … minutes', minutesInput),
  )
  const narrowed = () => {
    for (const input of element.querySelectorAll('input'))
      if (!input.reportValidity()) throw new Error('A value is wider than what was asked.')
    const budget = { ...authority.budget }
    if (callsInput.value !== '') budget.calls = Number(callsInput.value)
    if (egressInput) budget.egress_bytes = Number(egressInput.value)
    if (costInputs.length > 0) budget.cost = Object.fromEntries(costInputs.map(([c, input]) => [c, input.value]))
    const changed = JSON.stringify(budget) !== JSON.stringify(authority.budget)
    const ends = minutesInput.value === '' ? undefined : new Date(Date.now() + Number(minutesInput.value) * 60_000)
    return {
      ...(changed ? { authority: { ...authority, budget } } : {}),
      ...(ends ? { not_after: ends.toISOString() } : {}),
    }
  }
  return { element, narrowed }
}

const verbs = { register: 'Register', change: 'Change', retire: 'Retire' }

export function diffOf(diff) {
  return el(
    'div',
    { class: 'diff' },
    ...diff.map(({ type, id, verb, before, after }) =>
      el('section', {}, el('h5', {}, `${verbs[verb]} ${type} `, visible(id)), diffLines(flat(before), flat(after))),
    ),
  )
}

function diffLines(before, after) {
  const paths = [...new Set([...before.keys(), ...after.keys()])]
  const line = (sign, word, path, value) =>
    el('li', { class: word }, el('span', { class: 'sign', 'aria-label': word }, sign), visible(`${path}: ${value}`))
  const lines = paths.flatMap((path) => {
    const [old, now] = [before.get(path), after.get(path)]
    if (old === now) return []
    return [
      old === undefined ? undefined : line('−', 'removed', path, old),
      now === undefined ? undefined : line('+', 'added', path, now),
    ].filter(Boolean)
  })
  return el('ul', { class: 'lines code' }, ...lines)
}

/** Every leaf by JSON pointer; what is empty is a leaf too, or it would come and go unseen. */
function flat(value, path = '', into = new Map()) {
  if (value === null || value === undefined) return into
  const members = typeof value === 'object' ? Object.entries(value) : []
  if (members.length === 0) into.set(path, JSON.stringify(value))
  for (const [key, member] of members) flat(member, `${path}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`, into)
  return into
}

export function changeCard(change, { approve, deny }) {
  return el(
    'article',
    { class: 'card', 'data-request': change.id, 'aria-label': `Registry change by ${change.proposer}` },
    el(
      'div',
      { class: 'head' },
      el(
        'div',
        {},
        el('h3', {}, `Change of the registry: ${change.diff.length} ${change.diff.length === 1 ? 'entry' : 'entries'}`),
        el('p', { class: 'id' }, 'proposed by ', visible(change.proposer)),
      ),
      el('span', { class: 'badge' }, 'Registry'),
    ),
    diffOf(change.diff),
    facts([['Answer within', countdown(change.expires_at)], signatures(change)]),
    change.why_not ? el('p', { class: 'note' }, reasons[change.why_not] ?? change.why_not) : undefined,
    el(
      'div',
      { class: 'actions' },
      change.may_approve ? el('button', { type: 'button', onclick: () => deny(change) }, 'Deny…') : undefined,
      change.may_approve
        ? el('button', { type: 'button', class: 'primary', onclick: () => approve(change, () => ({})) }, 'Approve…')
        : undefined,
    ),
  )
}

export function grantCard(grant, { withdraw }) {
  const alive = grant.state === 'active' || grant.state === 'suspended'
  return el(
    'article',
    { class: `card grant ${grant.state}`, 'data-grant': grant.id, 'aria-label': `Grant for ${grant.task}` },
    el(
      'div',
      { class: 'head' },
      el('div', {}, ...whoAgent(grant)),
      el('span', { class: `badge ${grant.state}` }, grant.state),
    ),
    facts([
      ['Task', visible(grant.task)],
      alive
        ? ['Ends in', countdown(grant.not_after)]
        : [grant.state === 'revoked' ? 'Was to end' : 'Ended', when(grant.not_after)],
      ['Approved by', visible(grant.approved_by.join(', '))],
      grant.revoked
        ? ['Revoked', `#${grant.revoked.sequence} `, visible(grant.revoked.reason), ' by ', visible(grant.revoked.by)]
        : undefined,
    ]),
    el('div', { class: 'meters' }, ...meters(grant)),
    el('details', {}, el('summary', {}, 'What was approved'), linesOf(grant.lines), el('p', { class: 'id' }, grant.id)),
    alive && grant.may_withdraw
      ? el(
          'div',
          { class: 'actions' },
          el('button', { type: 'button', class: 'danger', onclick: () => withdraw(grant) }, 'Withdraw…'),
        )
      : undefined,
  )
}

function meters({ budget, taken }) {
  const meter = (label, used, most) =>
    el(
      'label',
      { class: 'meter' },
      el('span', {}, `${label}: ${used}${most === undefined ? '' : ` of ${most}`}`),
      most === undefined ? undefined : el('progress', { value: Number(used), max: Math.max(Number(most), 1) }),
    )
  return [
    meter('Calls', taken.calls, budget.calls),
    ...Object.entries(budget.cost ?? {}).map(([currency, most]) => meter(currency, taken.cost[currency] ?? '0', most)),
    budget.egress_bytes === undefined ? undefined : meter('Bytes out', taken.egress_bytes, budget.egress_bytes),
  ].filter(Boolean)
}
