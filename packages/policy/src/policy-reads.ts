import type { Policy } from './policy-set.ts'

/**
 * Returns a function that tells whether these policies may read a member of the context, given as its path, outermost name first. It never
 * returns false for a member that some policy reads: a policy that reads a record counts as reading every member in it.
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

/** Whether the policy reads a record that contains this member, rather than the member by its own path. A `has` test does not count. */
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

/** `["history", "task"]` for `context.history.task`, `context.history has task` and the like; undefined for anything that is not a path. */
function contextPath(expression: object): string[] | undefined {
  if ('Var' in expression) return expression.Var === 'context' ? [] : undefined
  const access = ('.' in expression && expression['.']) || ('has' in expression && expression.has)
  if (typeof access !== 'object' || access === null || !('left' in access) || !('attr' in access)) return undefined
  const below = typeof access.left === 'object' && access.left !== null ? contextPath(access.left) : undefined
  // `has a.b` names several levels at once.
  return below && [...below, ...[access.attr].flat().map(String)]
}
