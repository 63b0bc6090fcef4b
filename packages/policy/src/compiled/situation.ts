import type { CedarRecord, Entity, Value } from './values.ts'

/** An entity that exists. */
export interface EntityData {
  attributes: ReadonlyMap<string, Value>
  tags: ReadonlyMap<string, Value>
  /** The keys of everything that it is in, at any distance. */
  ancestors: ReadonlySet<string>
}

/** What a condition is evaluated in. */
export interface Situation {
  principal: Entity
  action: Entity
  resource: Entity
  context: CedarRecord
  /** undefined: there is no such entity. */
  entity(key: string): EntityData | undefined
}

/** Also true for the entity itself. */
export function isWithin({ key }: Entity, ancestor: string, { entity }: Pick<Situation, 'entity'>): boolean {
  return key === ancestor || entity(key)?.ancestors.has(ancestor) === true
}

/** Thrown, always as this one value: Cedar errs, which costs no stack trace here. Why it errs is for the reference to tell. */
export const erred = Symbol('erred')

/** Something that this engine does not compile: the reference answers. The message says what, for the operator. */
export class NotCompiled extends Error {}
