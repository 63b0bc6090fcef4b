import type { Entity, Expr, Policy, Scope, Uid, Value } from './cedar.ts'

// The trees of cedar.ts as Cedar's own text, and values in its JSON form. Everything is in brackets: the precedence of
// operators is not tested here.

export function policyText({ id, effect, principal, action, resource, conditions }: Policy): string {
  const scope = [scopeText('principal', principal), scopeText('action', action), scopeText('resource', resource)]
  const clauses = conditions.map(({ kind, body }) => `\n${kind} { ${exprText(body)} }`)
  return `@id(${quoted(id)})\n${effect} (${scope.join(', ')})${clauses.join('')};\n`
}

function scopeText(name: string, scope: Scope): string {
  if (scope.eq) return `${name} == ${uidText(scope.eq)}`
  const type = scope.type === undefined ? '' : ` is ${scope.type}`
  if (scope.in === undefined) return `${name}${type}`
  return `${name}${type} in ${Array.isArray(scope.in) ? `[${scope.in.map(uidText).join(', ')}]` : uidText(scope.in)}`
}

const uidText = ({ type, id }: Uid) => `${type}::${quoted(id)}`

function quoted(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n').replaceAll('\0', '\\0')}"`
}

export function exprText(expr: Expr): string {
  switch (expr.is) {
    case 'literal':
      return typeof expr.value === 'string' ? quoted(expr.value) : `(${expr.value})`
    case 'uid':
      return uidText(expr.uid)
    case 'decimal':
      return `decimal("${decimalText(expr.places)}")`
    case 'variable':
      return expr.name
    case 'set':
      return `[${expr.items.map(exprText).join(', ')}]`
    case 'record':
      return `{${expr.members.map(([name, member]) => `${quoted(name)}: ${exprText(member)}`).join(', ')}}`
    case 'not':
      return `(!(${exprText(expr.of)}))`
    case 'negate':
      return `(-(${exprText(expr.of)}))`
    case 'isEmpty':
      return `(${exprText(expr.of)}).isEmpty()`
    case 'get':
      return `(${exprText(expr.of)})${/^\w+$/.test(expr.name) ? `.${expr.name}` : `[${quoted(expr.name)}]`}`
    case 'has':
      return `((${exprText(expr.of)}) has ${quoted(expr.name)})`
    case 'like':
      return `((${exprText(expr.of)}) like "${expr.pattern.map((part) => (part === null ? '*' : inPattern(part))).join('')}")`
    case 'type':
      return `((${exprText(expr.of)}) is ${expr.type}${expr.within ? ` in (${exprText(expr.within)})` : ''})`
    case 'if':
      return `(if ${exprText(expr.test)} then ${exprText(expr.yes)} else ${exprText(expr.no)})`
    case 'contains':
    case 'containsAll':
    case 'containsAny':
    case 'lessThan':
    case 'greaterThanOrEqual':
      return `(${exprText(expr.left)}).${expr.is}(${exprText(expr.right)})`
    default:
      return `((${exprText(expr.left)}) ${expr.is} (${exprText(expr.right)}))`
  }
}

const decimalText = (places: bigint) => `${places / 10_000n}.${String(places % 10_000n).padStart(4, '0')}`

const inPattern = (part: string) => quoted(part).slice(1, -1).replaceAll('*', '\\*')

export function valueJson(value: Value): unknown {
  if (Array.isArray(value)) return value.map(valueJson)
  if (typeof value === 'bigint') return Number(value)
  if (typeof value !== 'object') return value
  if ('decimal' in value) return { __extn: { fn: 'decimal', arg: decimalText(value.decimal) } }
  return 'members' in value ? membersJson(value.members) : { __entity: value }
}

export function membersJson(members: Map<string, Value>): Record<string, unknown> {
  return Object.fromEntries(Array.from(members, ([name, member]) => [name, valueJson(member)]))
}

export function entityJson({ uid, attributes, parents }: Entity) {
  return { uid, attrs: membersJson(attributes), parents }
}
