// A subset of Cedar, evaluated as its documentation says (docs.cedarpolicy.com: policy syntax, operators, data types,
// authorization), written without its code. A policy is a tree here; cedar-text.ts writes it as text for the real one.

export interface Uid {
  type: string
  id: string
}

export type Expr =
  | { is: 'literal'; value: boolean | bigint | string }
  | { is: 'uid'; uid: Uid }
  /** In ten thousandths. */
  | { is: 'decimal'; places: bigint }
  | { is: 'variable'; name: 'principal' | 'action' | 'resource' | 'context' }
  | { is: 'set'; items: Expr[] }
  | { is: 'record'; members: [string, Expr][] }
  | { is: 'not' | 'negate' | 'isEmpty'; of: Expr }
  | { is: Binary; left: Expr; right: Expr }
  | { is: 'get' | 'has'; of: Expr; name: string }
  /** `null` is a `*` that stands for any characters. */
  | { is: 'like'; of: Expr; pattern: (string | null)[] }
  | { is: 'type'; of: Expr; type: string; within?: Expr }
  | { is: 'if'; test: Expr; yes: Expr; no: Expr }

export type Binary =
  | ('==' | '!=' | '<' | '<=' | '>' | '>=' | 'in' | '+' | '-' | '*' | '&&' | '||')
  | ('contains' | 'containsAll' | 'containsAny')
  | ('lessThan' | 'greaterThanOrEqual')

export type Scope = { eq?: Uid; in?: Uid | Uid[]; type?: string }

export interface Policy {
  id: string
  effect: 'permit' | 'forbid'
  principal: Scope
  action: Scope
  resource: Scope
  conditions: { kind: 'when' | 'unless'; body: Expr }[]
}

export type Value = boolean | bigint | string | Value[] | Uid | { decimal: bigint } | { members: Map<string, Value> }

export interface Entity {
  uid: Uid
  attributes: Map<string, Value>
  parents: Uid[]
}

export interface Request {
  principal: Uid
  action: Uid
  resource: Uid
  context: Map<string, Value>
  entities: Entity[]
}

/**
 * Deny by default; a forbid that holds overrides every permit. `errors`: the policies that could not be evaluated,
 * which are left out.
 */
export interface Verdict {
  decision: 'allow' | 'deny'
  reasons: string[]
  errors: string[]
}

class CedarError extends Error {}

export function authorize(policies: readonly Policy[], request: Request): Verdict {
  const holding: Policy[] = []
  const errors: string[] = []
  for (const policy of policies) {
    try {
      if (matches(policy, request)) holding.push(policy)
    } catch (err) {
      if (!(err instanceof CedarError)) throw err
      errors.push(policy.id)
    }
  }
  const forbids = holding.filter(({ effect }) => effect === 'forbid')
  const reasons = (forbids.length > 0 ? forbids : holding).map(({ id }) => id)
  return { decision: forbids.length === 0 && holding.length > 0 ? 'allow' : 'deny', reasons, errors }
}

/** Bailiwick's reading of a verdict: an error in any policy denies, even if the others allow (V13). */
export function decisionOf({ decision, errors }: Verdict): 'allow' | 'deny' {
  return errors.length > 0 ? 'deny' : decision
}

function matches({ principal, action, resource, conditions }: Policy, request: Request): boolean {
  return (
    inScope(request.principal, principal, request) &&
    inScope(request.action, action, request) &&
    inScope(request.resource, resource, request) &&
    conditions.every(({ kind, body }) => truth(body, request) === (kind === 'when'))
  )
}

function inScope(uid: Uid, scope: Scope, request: Request): boolean {
  if (scope.eq && !isUid(uid, scope.eq)) return false
  if (scope.type !== undefined && uid.type !== scope.type) return false
  return scope.in === undefined || [scope.in].flat().some((ancestor) => isWithin(uid, ancestor, request))
}

function isWithin(uid: Uid, ancestor: Uid, request: Request): boolean {
  if (isUid(uid, ancestor)) return true
  return (entityOf(uid, request)?.parents ?? []).some((parent) => isWithin(parent, ancestor, request))
}

const isUid = (a: Uid, b: Uid) => a.type === b.type && a.id === b.id
const entityOf = (wanted: Uid, { entities }: Request) => entities.find(({ uid }) => isUid(uid, wanted))

function evaluated(expr: Expr, request: Request): Value {
  switch (expr.is) {
    case 'literal':
      return expr.value
    case 'uid':
      return expr.uid
    case 'decimal':
      return { decimal: expr.places }
    case 'variable':
      return expr.name === 'context' ? { members: request.context } : request[expr.name]
    case 'set':
      return expr.items.map((item) => evaluated(item, request))
    case 'record':
      return { members: new Map(expr.members.map(([name, member]) => [name, evaluated(member, request)])) }
    case 'not':
      return !truth(expr.of, request)
    case 'negate':
      return inRange(-long(expr.of, request))
    case 'isEmpty':
      return set(expr.of, request).length === 0
    case 'get':
      return attribute(expr.of, expr.name, request)
    case 'has':
      return attributesOf(evaluated(expr.of, request), request)?.has(expr.name) ?? false
    case 'like':
      return isLike(text(expr.of, request), expr.pattern)
    case 'type':
      return (
        uidOf(evaluated(expr.of, request)).type === expr.type &&
        (expr.within === undefined || isIn(evaluated(expr.of, request), evaluated(expr.within, request), request))
      )
    case 'if':
      return evaluated(truth(expr.test, request) ? expr.yes : expr.no, request)
    case '&&':
      return truth(expr.left, request) && truth(expr.right, request)
    case '||':
      return truth(expr.left, request) || truth(expr.right, request)
    default:
      return operate(expr.is, evaluated(expr.left, request), evaluated(expr.right, request), request)
  }
}

function operate(operator: Exclude<Binary, '&&' | '||'>, left: Value, right: Value, request: Request): Value {
  switch (operator) {
    case '==':
      return isSame(left, right)
    case '!=':
      return !isSame(left, right)
    case 'in':
      return isIn(left, right, request)
    case 'contains':
      return setOf(left).some((item) => isSame(item, right))
    case 'containsAll':
      return pairs(setOf(left), setOf(right)).every((found) => found)
    case 'containsAny':
      return pairs(setOf(left), setOf(right)).some((found) => found)
    case '<':
      return longOf(left) < longOf(right)
    case '<=':
      return longOf(left) <= longOf(right)
    case '>':
      return longOf(left) > longOf(right)
    case '>=':
      return longOf(left) >= longOf(right)
    case 'lessThan':
      return decimalOf(left) < decimalOf(right)
    case 'greaterThanOrEqual':
      return decimalOf(left) >= decimalOf(right)
    case '+':
      return inRange(longOf(left) + longOf(right))
    case '-':
      return inRange(longOf(left) - longOf(right))
    case '*':
      return inRange(longOf(left) * longOf(right))
  }
}

/** Whether each of these attributes is there. */
const pairs = (given: Value[], wanted: Value[]) => wanted.map((each) => given.some((item) => isSame(item, each)))

function isIn(left: Value, right: Value, request: Request): boolean {
  const uid = uidOf(left)
  const ancestors = Array.isArray(right) ? right.map(uidOf) : [uidOf(right)]
  return ancestors.some((ancestor) => isWithin(uid, ancestor, request))
}

function attribute(of: Expr, name: string, request: Request): Value {
  const found = attributesOf(evaluated(of, request), request)?.get(name)
  if (found === undefined) throw new CedarError('no such attribute, or no such entity')
  return found
}

/** For an entity that does not exist: undefined. */
function attributesOf(value: Value, request: Request): Map<string, Value> | undefined {
  if (isRecord(value)) return value.members
  return entityOf(uidOf(value), request)?.attributes
}

function isLike(characters: string, [first, ...rest]: readonly (string | null)[]): boolean {
  if (first === undefined) return characters === ''
  if (first !== null) return characters.startsWith(first) && isLike(characters.slice(first.length), rest)
  return Array.from({ length: characters.length + 1 }, (_, n) => characters.slice(n)).some((tail) => isLike(tail, rest))
}

/** Equality is for all types; sets have neither order nor repetition. */
function isSame(a: Value, b: Value): boolean {
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b)) return false
    const holds = (one: Value[], other: Value[]) => other.every((wanted) => one.some((item) => isSame(item, wanted)))
    return holds(a, b) && holds(b, a)
  }
  if (isRecord(a) || isRecord(b)) {
    if (!isRecord(a) || !isRecord(b) || a.members.size !== b.members.size) return false
    const other = b.members
    return [...a.members].every(([name, member]) => {
      const counterpart = other.get(name)
      return counterpart !== undefined && isSame(member, counterpart)
    })
  }
  if (isDecimal(a) || isDecimal(b)) return isDecimal(a) && isDecimal(b) && a.decimal === b.decimal
  return typeof a === 'object' && typeof b === 'object' ? isUid(a, b) : a === b
}

const isDecimal = (value: Value): value is { decimal: bigint } => typeof value === 'object' && 'decimal' in value
const isRecord = (value: Value): value is { members: Map<string, Value> } =>
  typeof value === 'object' && 'members' in value

function inRange(value: bigint): bigint {
  if (value !== BigInt.asIntN(64, value)) throw new CedarError('overflow')
  return value
}

function truth(expr: Expr, request: Request): boolean {
  const value = evaluated(expr, request)
  if (typeof value !== 'boolean') throw new CedarError('no boolean')
  return value
}

function text(expr: Expr, request: Request): string {
  const value = evaluated(expr, request)
  if (typeof value !== 'string') throw new CedarError('no string')
  return value
}

const long = (expr: Expr, request: Request) => longOf(evaluated(expr, request))
const set = (expr: Expr, request: Request) => setOf(evaluated(expr, request))

function longOf(value: Value): bigint {
  if (typeof value !== 'bigint') throw new CedarError('no long')
  return value
}

function decimalOf(value: Value): bigint {
  if (!isDecimal(value)) throw new CedarError('no decimal')
  return value.decimal
}

function setOf(value: Value): Value[] {
  if (!Array.isArray(value)) throw new CedarError('no set')
  return value
}

function uidOf(value: Value): Uid {
  if (typeof value !== 'object' || Array.isArray(value) || isRecord(value) || isDecimal(value))
    throw new CedarError('no entity')
  return value
}
