import fc from 'fast-check'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { envelopeSchema } from './envelope.ts'
import { exactMatch } from './exact-match.ts'
import { exampleEvent, examplesOf } from './examples/index.ts'
import { topics } from './topics.ts'

const types = topics.flatMap((topic) =>
  Object.entries(topic.events).map(([type, schema]) => ({
    name: `${topic.name} ${type}`,
    schema: schema as z.ZodType,
    examples: Object.values(examplesOf(topic, type)),
  })),
)
const envelopes = topics.flatMap((topic) => Object.keys(topic.events).map((type) => exampleEvent(topic.name, type)))
const all = [...types, { name: 'envelope', schema: envelopeSchema as z.ZodType, examples: envelopes as unknown[] }]

/** A value that matches must be one that zod takes and gives back. */
function expectSound(schema: z.ZodType, value: unknown): void {
  if (!exactMatch(schema)(value)) return
  const parsed = schema.safeParse(value)
  if (!parsed.success) expect.fail(`zod refuses ${JSON.stringify(value)}: ${parsed.error.issues[0]?.message}`)
  expect(parsed.data).toEqual(value)
}

it.each(all)('matches every example of $name, so that zod is not asked', ({ schema, examples }) => {
  for (const example of examples) expect(exactMatch(schema)(example)).toBe(true)
})

type Path = readonly (string | number)[]
function pathsIn(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path]
  const below = Array.isArray(value) ? [...value.entries()] : Object.entries(value)
  return [path, ...below.flatMap(([key, member]) => pathsIn(member, [...path, key]))]
}

/** A copy with the value at this path changed; `undefined` removes it. */
function changed(value: unknown, [key, ...rest]: Path, change: (value: unknown) => unknown): unknown {
  if (key === undefined) return change(value)
  if (Array.isArray(value)) return value.map((member, n) => (n === key ? changed(member, rest, change) : member))
  const entries = Object.entries(value as object).map(([name, member]) => [
    name,
    name === key ? changed(member, rest, change) : member,
  ])
  return Object.fromEntries(entries.filter(([, member]) => member !== undefined))
}

// Values at the borders of what schemas take: lengths, numbers, times, ids, empty and foreign things.
const values = [
  null,
  true,
  false,
  0,
  1,
  -1,
  0.5,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 53,
  1e300,
  '',
  ' ',
  'a',
  [],
  {},
  [{}],
  { a: 1 },
]
const edges = fc.oneof(
  fc.constantFrom<unknown>(...values, '0', '1.5', '-1', 'EUR', 'x'.repeat(64), 'x'.repeat(65), 'x'.repeat(2049)),
  fc.constantFrom<unknown>(
    '2026-07-01T12:00:00.000Z',
    '2026-02-30T12:00:00.000Z',
    '2026-07-01T12:00:00Z',
    'a.b.c',
    '\u0000',
  ),
  fc.jsonValue({ maxDepth: 2 }),
)
/** A small change of a value, as a writer with a defect, an older version, or an adversary would make it. */
const change = fc.oneof(
  edges.map((value) => () => value),
  fc.constant(() => undefined),
  fc.tuple(fc.constantFrom('unknown', 'status', 'v', 'constructor', 'toString'), edges).map(
    ([name, member]) =>
      (value: unknown) =>
        typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value, [name]: member } : [value],
  ),
  fc.nat(3).map((n) => (value: unknown) => {
    if (typeof value === 'string') return n === 0 ? value.slice(1) : n === 1 ? `${value}${value}` : `${value}\n`
    if (typeof value === 'number') return value + n - 1.5
    if (Array.isArray(value)) return n === 0 ? value.slice(1) : Array.from({ length: n * 50 }, () => value[0] ?? null)
    return value
  }),
)

it('matches nothing that zod refuses or gives back changed, over all types of events (V13)', () => {
  const one = fc.constantFrom(...all.flatMap(({ schema, examples }) => examples.map((value) => ({ schema, value }))))
  fc.assert(
    fc.property(
      one,
      fc.array(fc.tuple(fc.nat(), change), { minLength: 1, maxLength: 3 }),
      ({ schema, value }, steps) => {
        let spoiled: unknown = structuredClone(value)
        for (const [at, step] of steps) {
          const paths = pathsIn(spoiled)
          spoiled = changed(spoiled, paths[at % paths.length] ?? [], step)
        }
        // What strict JSON can give.
        fc.pre(spoiled !== undefined)
        expectSound(schema, JSON.parse(JSON.stringify(spoiled)))
      },
    ),
    { numRuns: 8000 },
  )
})

it('leaves to zod what changes a value, what it does not know, and a union that zod decides by an option that drops members', () => {
  const dropping = z.object({ a: z.string() })
  for (const [schema, value] of [
    [dropping, { a: '', b: 1 }],
    [z.union([dropping, z.strictObject({ a: z.string(), b: z.number() })]), { a: '', b: 1 }],
    [z.union([z.url(), z.string().regex(/a$/)]), ' http://a'],
    [z.string().trim(), ' a'],
    [z.string().transform((text) => text.length), 'a'],
    [z.string().default('x'), 'a'],
    [z.coerce.number(), 1],
    [z.record(z.enum(['a', 'b']), z.number()), { a: 1 }],
    [z.lazy(() => z.string()), 'a'],
    [z.object({ a: z.unknown() }), {}],
  ] as [z.ZodType, unknown][])
    expect(exactMatch(schema)(value)).toBe(false)
})

it('asks refinements', () => {
  const even = z.strictObject({ n: z.int() }).refine(({ n }) => n % 2 === 0)
  expect([2, 3].map((n) => exactMatch(even)({ n }))).toEqual([true, false])
})
