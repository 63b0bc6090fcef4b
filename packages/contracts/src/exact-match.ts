import type { z } from 'zod'

/**
 * Whether a schema takes a value and gives back an equal one. `true` is proven: zod would answer with an equal value (key order aside).
 * `false` says nothing: ask zod, which also knows what is wrong. The value must come from strict JSON.
 */
export type ExactMatch = (value: unknown) => boolean

interface Compiled {
  test: ExactMatch
  /** Whether `false` means that zod refuses the value. Otherwise zod may take it and give back another one. */
  decides: boolean
  /** Of an object whose test does not decide: members that tell at once that zod refuses the value. */
  tags?: readonly (readonly [name: string, test: ExactMatch])[]
}

/** zod's own description of a schema or of one check, as far as it is read here. */
interface Def {
  type?: string
  check?: string
  format?: string
  coerce?: boolean
  pattern?: unknown
  minimum?: number
  maximum?: number
  length?: number
  value?: unknown
  inclusive?: boolean
  values?: readonly unknown[]
  entries?: Readonly<Record<string, unknown>>
  options?: readonly Internal[]
  element?: Internal
  innerType?: Internal
  keyType?: Internal
  valueType?: Internal
  shape?: Readonly<Record<string, Internal>>
  catchall?: Internal
  checks?: readonly Internal[]
}
interface Payload {
  value: unknown
  issues: unknown[]
}
interface Internal {
  _zod: { def: Def; traits: ReadonlySet<string>; values?: unknown; check?: (payload: Payload) => unknown }
}

const matches = new WeakMap<object, ExactMatch>()

/** The test for a schema, made once. A schema that this file does not understand is never matched, so zod judges it. */
export function exactMatch(schema: z.ZodType): ExactMatch {
  const known = matches.get(schema)
  if (known !== undefined) return known
  const match = compile(schema as unknown as Internal)?.test ?? (() => false)
  matches.set(schema, match)
  return match
}

function compile(schema: Internal): Compiled | undefined {
  const { def, traits } = schema._zod
  const base = def.coerce === true ? undefined : types[def.type ?? '']?.(def)
  if (base === undefined) return undefined
  const checks = [...(traits.has('$ZodCheck') ? [schema] : []), ...(def.checks ?? [])].map(compileCheck)
  if (checks.length === 0) return base
  const tests = checks.map(({ test }) => test)
  return {
    ...base,
    test: (value) => base.test(value) && tests.every((test) => test(value)),
    decides: base.decides && checks.every(({ decides }) => decides),
  }
}

const deciding = (test: ExactMatch): Compiled => ({ test, decides: true })

/** By the type of the schema. A type that is missing here, such as a transformation, is left to zod. */
const types: Readonly<Record<string, (def: Def) => Compiled | undefined>> = {
  string: () => deciding((value) => typeof value === 'string'),
  number: () => deciding((value) => typeof value === 'number' && Number.isFinite(value)),
  boolean: () => deciding((value) => typeof value === 'boolean'),
  null: () => deciding((value) => value === null),
  unknown: () => deciding(() => true),
  never: () => deciding(() => false),
  literal: ({ values = [] }) => deciding((value) => values.includes(value)),
  enum: ({ entries = {} }) => {
    const values = new Set(Object.values(entries))
    return deciding((value) => values.has(value))
  },
  optional: ({ innerType }) => innerType && compile(innerType),
  array: ({ element }) => {
    const each = element && compile(element)
    return each && { test: (value) => Array.isArray(value) && value.every(each.test), decides: each.decides }
  },
  record: recordOf,
  object: objectOf,
  union: unionOf,
}

/** zod answers with the first option that takes the value, changed or not. So an option before the one that matches must have refused. */
function unionOf({ options = [] }: Def): Compiled | undefined {
  const compiled = options.map(compile)
  const known = compiled.filter((option) => option !== undefined)
  if (known.length < compiled.length) return undefined
  const test = (value: unknown) => {
    for (const option of known) {
      if (option.test(value)) return true
      if (!refuses(option, value)) return false
    }
    return false
  }
  return { test, decides: known.every(({ decides }) => decides) }
}

/** Whether zod certainly refuses a value that did not match. */
const refuses = ({ decides, tags }: Compiled, value: unknown): boolean =>
  decides || (tags !== undefined && (!isObject(value) || tags.some(([name, test]) => !test(value[name]))))

function recordOf({ keyType, valueType }: Def): Compiled | undefined {
  const key = keyType && compile(keyType)
  const member = valueType && compile(valueType)
  // A fixed set of keys must be complete, which is not tested here.
  if (!key || !member || keyType._zod.values !== undefined) return undefined
  const test = (value: unknown) =>
    isObject(value) && Object.keys(value).every((name) => key.test(name) && member.test(value[name]))
  return { test, decides: key.decides && member.decides }
}

function objectOf({ shape = {}, catchall }: Def): Compiled | undefined {
  const unknownMembers = catchall?._zod.def.type
  if (unknownMembers !== undefined && unknownMembers !== 'never' && unknownMembers !== 'unknown') return undefined
  const isLoose = unknownMembers === 'unknown'
  const members = new Map<string, { test: ExactMatch; isRequired: boolean }>()
  const tags: [string, ExactMatch][] = []
  let decides = unknownMembers !== undefined
  let required = 0
  for (const [name, schema] of Object.entries(shape)) {
    const member = compile(schema)
    if (member === undefined) return undefined
    members.set(name, { test: member.test, isRequired: isRequired(schema) })
    if (isRequired(schema)) required++
    if (schema._zod.def.type === 'literal') tags.push([name, member.test])
    decides &&= member.decides && schema._zod.def.type !== 'unknown'
  }
  const test = (value: unknown) => {
    if (!isObject(value)) return false
    let present = 0
    for (const name of Object.keys(value)) {
      const member = members.get(name)
      if (member === undefined) {
        if (isLoose) continue
        return false
      }
      if (!member.test(value[name])) return false
      if (member.isRequired) present++
    }
    return present === required
  }
  return { test, decides, tags }
}

const isRequired = ({ _zod }: Internal) => _zod.def.type !== 'optional'

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The test of a check on a value that has the right type. */
function compileCheck({ _zod }: Internal): Compiled {
  const { check, format, pattern, minimum = 0, maximum = 0, value: limit, inclusive } = _zod.def
  const lengthOf = (value: unknown) => (value as { length: number }).length
  switch (check) {
    case 'min_length':
      return deciding((value) => lengthOf(value) >= minimum)
    case 'max_length':
      return deciding((value) => lengthOf(value) <= maximum)
    case 'greater_than':
      return deciding((value) => (inclusive ? Number(value) >= Number(limit) : Number(value) > Number(limit)))
    case 'less_than':
      return deciding((value) => (inclusive ? Number(value) <= Number(limit) : Number(value) < Number(limit)))
    case 'number_format':
      if (format === 'safeint') return deciding(Number.isSafeInteger)
      break
    case 'string_format':
      if ((format === 'regex' || format === 'datetime') && pattern instanceof RegExp && !pattern.global)
        return deciding((value) => pattern.test(value as string))
      break
  }
  const { check: run } = _zod
  const test = (value: unknown) => {
    const payload: Payload = { value, issues: [] }
    return run?.(payload) === undefined && payload.issues.length === 0 && Object.is(payload.value, value)
  }
  return { test, decides: check === 'custom' || check === 'length_equals' }
}
