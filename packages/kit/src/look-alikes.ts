/**
 * Names that a person or a model can take for one another: they differ only in case, in separators, or in characters with one shape
 * (`l` and `1`, `O` and `0`, `rn` and `m`). Characters outside ASCII are not compared: spell them out where you show a name.
 */
export function lookAlikes(names: readonly string[]): string[][] {
  const groups = new Map<string, string[]>()
  for (const name of names) {
    const shape = shapeOf(name)
    groups.set(shape, [...(groups.get(shape) ?? []), name])
  }
  return [...groups.values()].filter((group) => group.length > 1)
}

const shapeOf = (name: string): string =>
  name
    .toLowerCase()
    .replaceAll(/[-_.]/g, '')
    .replaceAll(/[i1|]/g, 'l')
    .replaceAll('0', 'o')
    .replaceAll('rn', 'm')
    .replaceAll('vv', 'w')
