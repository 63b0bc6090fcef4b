import type { Policy } from './policy-set.ts'

/**
 * Tells of a member of the context, named from the outside in, whether these policies may look at it. Never false of one that some policy
 * does look at: who looks at the whole, or at a part that holds it, is taken to look at all of it.
 */
export function contextReads(policies: Iterable<Pick<Policy, 'json'>>): (member: readonly string[]) => boolean {
  const found = Array.from(policies).flatMap(({ json }) => json.conditions.flatMap(({ body }) => pathsIn(body)))
  const paths = [...new Map(found.map((path) => [JSON.stringify(path), path])).values()]
  return (member) => paths.some((path) => member.every((name, n) => n >= path.length || path[n] === name))
}

function pathsIn(expression: unknown): string[][] {
  if (typeof expression !== 'object' || expression === null) return []
  const path = contextPath(expression)
  return path ? [path] : Object.values(expression).flatMap(pathsIn)
}

/** Whether it looks at something that holds this member, and not at the member by its name. Asking whether it is there is no look. */
export function readsWhole({ json }: Pick<Policy, 'json'>, member: readonly string[]): boolean {
  return json.conditions.some(({ body }) => holds(body, member))
}

function holds(expression: unknown, member: readonly string[]): boolean {
  if (typeof expression !== 'object' || expression === null) return false
  if ('has' in expression && contextPath(expression)) return false
  const path = contextPath(expression)
  if (path) return path.length < member.length && path.every((name, n) => member[n] === name)
  return Object.values(expression).some((part) => holds(part, member))
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
