import type { Authority } from './schema.ts'

type Delegating = Pick<Authority, 'delegates' | 'max_depth' | 'max_children'>

/** Whether a holder of this authority may delegate to an instance, `<agent id>/<instance>`: its agent must be listed. */
export function mayDelegateTo(authority: Delegating, instance: string): boolean {
  const listed = delegatesOf(authority)
  return listed === 'any' || listed.includes(instance.slice(0, instance.lastIndexOf('/')))
}

/** Whether a child permits delegation only to agents that its parent lists. */
export function delegatesWithin(child: Delegating, parent: Delegating): boolean {
  const [own, listed] = [delegatesOf(child), delegatesOf(parent)]
  return listed === 'any' || (own !== 'any' && own.every((agent) => listed.includes(agent)))
}

/** The agents to which both permit delegation. */
export function commonDelegates(a: Delegating, b: Delegating): Pick<Authority, 'delegates'> {
  const delegates = a.delegates?.filter((agent) => b.delegates?.includes(agent) ?? true) ?? b.delegates
  return delegates === undefined ? {} : { delegates }
}

/** An authority that cannot be delegated at all has no delegates, whether it lists any or not. */
export function delegatesOf({ delegates, max_depth, max_children }: Delegating): readonly string[] | 'any' {
  return max_depth === 0 || max_children === 0 ? [] : (delegates ?? 'any')
}
