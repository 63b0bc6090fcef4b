import { isObject, type JsonObject } from '@bailiwick/mcp'
import { isSame, type Manifest } from '../manifest/manifest.ts'

/** One place of a description that differs. Without `before` it is new, without `after` it is gone. */
export interface Difference {
  /** JSON pointer (RFC 6901) into the description; empty for the whole of it. */
  pointer: string
  before?: unknown
  after?: unknown
}

const parts = ['identity', 'server_info', 'instructions'] as const
const kinds = ['tools', 'prompts', 'templates'] as const

/** What differs in one thing of a manifest. */
export interface ManifestChange {
  kind: (typeof parts)[number] | (typeof kinds)[number]
  /** The name of a tool or prompt, or the URI template of a template. */
  name?: string
  change: 'new' | 'gone' | 'changed'
  differences: Difference[]
}

/** Every place in which two manifests differ; empty if they have the same hash. */
export function diffManifests(before: Manifest, after: Manifest): ManifestChange[] {
  const whole = parts.flatMap((kind): ManifestChange[] => {
    const differences = diffJson(before[kind] ?? null, after[kind] ?? null)
    return differences.length === 0 ? [] : [{ kind, change: 'changed', differences }]
  })
  return [...whole, ...kinds.flatMap((kind) => diffThings(kind, before[kind], after[kind]))]
}

function diffThings(
  kind: (typeof kinds)[number],
  before: Readonly<Record<string, JsonObject>>,
  after: Readonly<Record<string, JsonObject>>,
): ManifestChange[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort()
  return names.flatMap((name): ManifestChange[] => {
    const had = Object.hasOwn(before, name)
    const has = Object.hasOwn(after, name)
    const differences = diffMembers(had ? before[name] : undefined, has ? after[name] : undefined)
    if (had && has && differences.length === 0) return []
    return [{ kind, name, change: !had ? 'new' : has ? 'changed' : 'gone', differences }]
  })
}

/** For something that is new or gone: one difference that holds all of it. */
const diffMembers = (before: unknown, after: unknown): Difference[] =>
  before === undefined
    ? [{ pointer: '', after }]
    : after === undefined
      ? [{ pointer: '', before }]
      : diffJson(before, after)

/**
 * The smallest places in which two JSON values differ. To get the second value from the first, set each `after` at its pointer, and delete
 * the places without one. Lists of different lengths differ as a whole: a place in one is not the same place in the other.
 */
export function diffJson(before: unknown, after: unknown, pointer = ''): Difference[] {
  if (isSame(before, after)) return []
  if (isObject(before) && isObject(after)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort()
    return names.flatMap((name) => {
      const at = `${pointer}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`
      if (!Object.hasOwn(before, name)) return [{ pointer: at, after: after[name] }]
      if (!Object.hasOwn(after, name)) return [{ pointer: at, before: before[name] }]
      return diffJson(before[name], after[name], at)
    })
  }
  if (Array.isArray(before) && Array.isArray(after) && before.length === after.length)
    return before.flatMap((item, n) => diffJson(item, after[n], `${pointer}/${n}`))
  return [{ pointer, before, after }]
}
