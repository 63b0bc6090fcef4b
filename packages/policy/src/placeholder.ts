import type { Shape } from './schema-shapes.ts'

/** The value of a type that says nothing: zero, false, empty. undefined for an entity: there is none. */
export function placeholder(shape: Shape): unknown {
  switch (shape.kind) {
    case 'Long':
      return 0
    case 'String':
      return ''
    case 'Bool':
      return false
    case 'Set':
      return []
    case 'Extension':
      return '0.0'
    case 'Entity':
      return undefined
    case 'Record': {
      const needed = [...shape.members].filter(([name]) => !shape.optional.has(name))
      return Object.fromEntries(needed.map(([name, member]) => [name, placeholder(member)]))
    }
  }
}
