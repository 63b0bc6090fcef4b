/** `Map.prototype.getOrInsertComputed`, which Node.js 20 does not have. */
export function getOrInsert<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const found = map.get(key)
  if (found !== undefined || map.has(key)) return found as V
  const made = make()
  map.set(key, made)
  return made
}

/** `Map.groupBy`, which Node.js 20 does not have. */
export function groupBy<T, K>(items: Iterable<T>, keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>()
  for (const item of items) getOrInsert<K, T[]>(groups, keyOf(item), () => []).push(item)
  return groups
}
