/** How a list was left: the cursors of its pages, and how far it was scrolled. */
interface LeftList {
  cursors?: readonly string[]
  top?: number
}

const lists = new Map<string, LeftList>()
const mostLists = 50

/** How a list was left in this session, by a name that says which list it is. */
export const leftList = (name: string): LeftList => lists.get(name) ?? {}

export function leaveList(name: string, changed: LeftList): void {
  const left = { ...lists.get(name), ...changed }
  lists.delete(name)
  lists.set(name, left)
  const [oldest] = lists.keys()
  if (lists.size > mostLists && oldest !== undefined) lists.delete(oldest)
}

/** After a sign-out, nothing that the person saw stays in the page. */
export const dropLeftLists = (): void => lists.clear()
