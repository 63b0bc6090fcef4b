import { isPathPrefix } from './path.ts'
import { type Authority, type Budget, type Constraint, type Permission, secondsUnit } from './schema.ts'
import { spellForeign, spellUnseen } from './unseen.ts'

/**
 * Describes an authority in short plain English lines for its approver: the task, a line for each permission, then every limit, or that
 * there is none. Uses only canonical fields. Text that an agent could write to imitate ours, above all the name of its task, is quoted as
 * JSON, with invisible and reordering characters as `\uXXXX`. It is repeated, spelled out, if one of its letters could be mistaken for
 * another. The caller must escape for HTML. `once`: a grant of it is good for one exact action, so that its own limits on uses and calls do not count.
 */
export function describe(authority: Authority, { once = false }: { once?: boolean } = {}): string[] {
  const { permissions, budget } = authority
  return [
    taskLine(authority),
    ...permissions.map((each) => permissionLine(once ? { ...each, max_uses: 1 } : each)),
    ...budgetLines(once ? { ...budget, calls: 1 } : budget),
    delegationLine(authority),
  ]
}

/** Identifies the task. */
export function taskLine({ task }: Pick<Authority, 'task'>): string {
  return `Task: ${bare(task)}`
}

/** Text that is not a plain name is quoted: otherwise `;` and a space could begin a line that looks like ours. */
function bare(text: string): string {
  return /^[A-Za-z0-9._:/@#+-]+$/.test(text) ? text : quoted(text)
}

function permissionLine({ actions, resource, where, cost, arguments: closed, max_uses: maxUses }: Permission): string {
  const target =
    resource.id === undefined ? `any ${resource.type} below ${resource.id_prefix}` : `${resource.type} ${resource.id}`
  const bounds = Object.entries(where ?? {}).map(
    ([pointer, constraint]) => `${named(pointer)} ${constraintWords(constraint)}`,
  )
  return [
    `May do ${listed(actions, 'or')} on ${target}`,
    ...(bounds.length === 0 ? [] : [`only where ${listed(bounds, 'and')}`]),
    ...(cost === undefined
      ? []
      : [`costs the amount at ${named(cost.amount)} in the currency at ${named(cost.currency)}`]),
    ...(closed === undefined
      ? []
      : [bounds.length === 0 && cost === undefined ? 'no arguments' : 'no other arguments']),
    maxUses === undefined ? 'any number of times' : `at most ${times(maxUses)}`,
  ].join('; ')
}

function constraintWords({ eq, in: values, min, max, prefix }: Constraint): string {
  return listed(
    [
      ...(eq === undefined ? [] : [`is ${quoted(eq)}`]),
      ...(values === undefined ? [] : [`is one of ${values.map(quoted).join(', ')}`]),
      ...(min === undefined ? [] : [`is at least ${grouped(min)}`]),
      ...(max === undefined ? [] : [`is at most ${grouped(max)}`]),
      ...(prefix === undefined
        ? []
        : [isPathPrefix(prefix) ? `is inside ${bare(prefix)}` : `starts with ${quoted(prefix)}`]),
    ],
    'and',
  )
}

function budgetLines({ calls, cost, egress_bytes: egress }: Budget): string[] {
  const amounts = Object.entries(cost ?? {}).map(
    ([unit, amount]) => `${grouped(amount)} ${unit === secondsUnit ? `seconds of connections (${unit})` : unit}`,
  )
  return [
    calls === undefined ? 'No limit on calls' : `At most ${grouped(calls)} ${calls === 1 ? 'call' : 'calls'} in all`,
    amounts.length === 0
      ? 'No budget for money: what declares a cost is refused'
      : `May spend at most ${listed(amounts, 'and')} in all`,
    egress === undefined ? 'No limit on bytes sent out' : `At most ${grouped(egress)} bytes sent out in all`,
  ]
}

function delegationLine({ max_depth: depth, max_children: children, delegates }: Authority): string {
  if (depth === 0 || children === 0 || delegates?.length === 0) return 'May not delegate'
  const to = delegates === undefined ? 'to any agent' : `only to ${listed(delegates.map(bare), 'or')}`
  return `May delegate ${to}, at most ${depth} deep and to at most ${children} by each holder`
}

function times(count: number): string {
  return count === 1 ? 'once' : `${grouped(count)} times`
}

/** Digits in threes: a reader must not have to count the digits of what they sign. Nothing is rounded. */
function grouped(value: number | string): string {
  const [, sign = '', whole = '', decimals = ''] = /^(-?)(\d+)(\.\d+)?$/.exec(String(value)) ?? []
  return whole === '' ? String(value) : `${sign}${whole.replace(/\B(?=(\d{3})+$)/g, ',')}${decimals}`
}

function listed(words: readonly string[], last: 'and' | 'or'): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1)}`
}

/** A pointer may contain spaces, and so sentences: such pointers are quoted. */
function named(pointer: string): string {
  return /^[!#-~]+$/.test(pointer) ? pointer : quoted(pointer)
}

function quoted(value: string | boolean): string {
  const shown = spellUnseen(JSON.stringify(value))
  const spelled = spellForeign(shown)
  return shown === spelled ? shown : `${shown} (spelled ${spelled})`
}
