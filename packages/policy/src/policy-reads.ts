import type { Policy } from './policy-set.ts'

/**
 * Whether these policies may look at this member of the context, named from the outside in. Never false of one that does: who
 * looks at the whole, or at a part that holds it, is taken to look at all of it.
 */
export function readsContext(policies: Iterable<Pick<Policy, 'json'>>, member: readonly string[]): boolean {
  return Array.from(policies).some(({ json }) => json.conditions.some(({ body }) => reads(body, member)))
}

function reads(expression: unknown, member: readonly string[]): boolean {
  if (typeof expression !== 'object' || expression === null) return false
  const path = contextPath(expression)
  if (path) return member.every((name, n) => n >= path.length || path[n] === name)
  return Object.values(expression).some((part) => reads(part, member))
}

/** `["history", "task"]` of `context.history.task`, `context.history has task` and the like; undefined of all that is no path. */
function contextPath(expression: object): string[] | undefined {
  if ('Var' in expression) return expression.Var === 'context' ? [] : undefined
  const access = ('.' in expression && expression['.']) || ('has' in expression && expression.has)
  if (typeof access !== 'object' || access === null || !('left' in access) || !('attr' in access)) return undefined
  const below = typeof access.left === 'object' && access.left !== null ? contextPath(access.left) : undefined
  // `has a.b` names several at once.
  return below && [...below, ...[access.attr].flat().map(String)]
}
