import { changeEffect, type EntityEffect } from '@bailiwick/approval-statement'
import { type EntityType, entitySchemas } from '@bailiwick/contracts'

/** The effect of a change on one entity. */
export interface EntityDiff {
  type: EntityType
  id: string
  verb: 'register' | 'change' | 'retire'
  before: unknown
  after: unknown
}

/** The effect of each part of a change, in one line that a person understands. `text`: for a policy set, the text of its policies. */
export function effectLines(diff: readonly EntityDiff[], text?: EntityEffect['text']): string[] {
  return diff.map(({ type, id, before, after }) => {
    const read = (value: unknown) => (value === null ? null : entitySchemas[type].parse(value))
    try {
      return changeEffect({ type, id, before: read(before), after: read(after), text })
    } catch {
      // The service is newer than this command.
      return `After this, ${type} ${JSON.stringify(id)} is as above: this version cannot say what that does.`
    }
  })
}

const signs = { register: '+', change: '~', retire: '-' } as const

/** A change in lines for people: each entity, and each of its members that differs, by its position. */
export function diffLines(diff: readonly EntityDiff[]): string[] {
  return diff.flatMap(({ type, id, verb, before, after }) => [
    `${signs[verb]} ${type} ${id}`,
    ...(verb === 'retire' ? [] : memberLines(verb === 'register' ? undefined : before, after, '')),
  ])
}

/** The changes that would be made; an entity that already is as wanted is left out. */
export function diffOf(
  wanted: readonly { type: EntityType; id: string; value?: unknown }[],
  present: (type: EntityType, id: string) => unknown,
): EntityDiff[] {
  return wanted.flatMap(({ type, id, value: after = null }) => {
    const before = present(type, id) ?? null
    if (memberLines(before ?? undefined, after ?? undefined, '').length === 0) return []
    const verb = after === null ? 'retire' : before === null ? 'register' : 'change'
    return [{ type, id, verb, before, after }]
  })
}

function memberLines(before: unknown, after: unknown, path: string): string[] {
  if (isObject(before ?? after) && isObject(after ?? before)) {
    const [old, next] = [asRecord(before), asRecord(after)]
    const members = [...new Set([...Object.keys(old), ...Object.keys(next)])]
    if (members.length > 0)
      return members.flatMap((name) =>
        memberLines(old[name], next[name], pathOf(path, name, Array.isArray(after ?? before))),
      )
  }
  if (JSON.stringify(before) === JSON.stringify(after)) return []
  const place = `    ${path}: `
  if (before === undefined) return [`${place}${JSON.stringify(after)}`]
  if (after === undefined) return [`${place}${JSON.stringify(before)} is removed`]
  return [`${place}${JSON.stringify(before)} becomes ${JSON.stringify(after)}`]
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null
const asRecord = (value: unknown) => (value ?? {}) as Record<string, unknown>
const pathOf = (path: string, name: string, isIndex: boolean) =>
  isIndex ? `${path}[${name}]` : path === '' ? name : `${path}.${name}`
