import fc from 'fast-check'
import { expect, it } from 'vitest'
import { isSame, type Manifest, manifestHash } from '../manifest/manifest.ts'
import { type Difference, diffJson, diffManifests } from './manifest-diff.ts'

/** What a reader of the differences would do. */
function applied(value: unknown, { pointer, ...difference }: Difference): unknown {
  if (pointer === '') return 'after' in difference ? difference.after : undefined
  const [first = '', ...rest] = pointer.slice(1).split('/')
  const name = first.replaceAll('~1', '/').replaceAll('~0', '~')
  const inside = { pointer: rest.map((each) => `/${each}`).join(''), ...difference }
  if (Array.isArray(value)) return value.map((item, n) => (n === Number(name) ? applied(item, inside) : item))
  const members = new Map(Object.entries(value as object))
  if (rest.length === 0 && !('after' in difference)) members.delete(name)
  else members.set(name, applied(members.get(name), inside))
  return Object.fromEntries(members)
}

const json = fc.jsonValue({ maxDepth: 4 }).map((value) => JSON.parse(JSON.stringify(value)) as unknown)
const similar = fc.oneof(
  fc.tuple(json, json),
  fc
    .tuple(fc.dictionary(fc.string(), json), fc.dictionary(fc.string(), json))
    .map(([common, more]): [unknown, unknown] => [common, { ...common, ...more }]),
)

it('says exactly what makes the second of the first', () => {
  fc.assert(
    fc.property(similar, ([before, after]) => {
      const made = diffJson(before, after).reduce(applied, before)
      expect(isSame(made, after)).toBe(true)
    }),
  )
})

it('finds no difference exactly where the canonical forms are equal', () => {
  fc.assert(
    fc.property(similar, ([before, after]) => {
      expect(diffJson(before, after).length === 0).toBe(isSame(before, after))
      expect(diffJson(before, structuredClone(before))).toEqual([])
    }),
  )
})

const manifest = (tools: Manifest['tools'], more: Partial<Manifest> = {}): Manifest => ({
  identity: { url: 'http://h/mcp' },
  server_info: { name: 's', version: '1' },
  instructions: null,
  tools,
  prompts: {},
  templates: {},
  ...more,
})

it('differs exactly where the hash does', () => {
  const things = fc.dictionary(
    fc.constantFrom('a', 'b', 'constructor', 'x/y'),
    fc.record({ name: fc.string(), inputSchema: fc.dictionary(fc.constantFrom('type', 'p'), json) }),
  )
  fc.assert(
    fc.property(things, things, json, json, (one, two, info, other) => {
      const [before, after] = [manifest(one, { server_info: info }), manifest(two, { server_info: other })]
      expect(diffManifests(before, after).length === 0).toBe(manifestHash(before) === manifestHash(after))
    }),
  )
})

it('names what is new, gone and changed, by its place', () => {
  const tool = (description: string, type = 'string') => ({
    description,
    inputSchema: { properties: { 'a/b': { type } }, required: ['a/b'] },
  })
  const before = manifest({ read: tool('Reads.'), old: tool('Old.') })
  const after = manifest({ read: tool('Reads all.', 'number'), wipe: tool('Wipes.') }, { instructions: 'Be quick.' })
  expect(diffManifests(before, after)).toEqual([
    { kind: 'instructions', change: 'changed', differences: [{ pointer: '', before: null, after: 'Be quick.' }] },
    { kind: 'tools', name: 'old', change: 'gone', differences: [{ pointer: '', before: tool('Old.') }] },
    {
      kind: 'tools',
      name: 'read',
      change: 'changed',
      differences: [
        { pointer: '/description', before: 'Reads.', after: 'Reads all.' },
        { pointer: '/inputSchema/properties/a~1b/type', before: 'string', after: 'number' },
      ],
    },
    { kind: 'tools', name: 'wipe', change: 'new', differences: [{ pointer: '', after: tool('Wipes.') }] },
  ])
})

it('shows a mapping that a tool declares, and where it changed', () => {
  const of = (id: string | undefined): Manifest => {
    const mapping = { evaluation: { action: { name: 'read' }, resource: { type: 'customer', id } } }
    const schema = { type: 'object', ...(id === undefined ? {} : { 'x-authzen-mapping': mapping }) }
    const tools = { read: { name: 'read', inputSchema: schema } }
    return { identity: { url: 'u' }, server_info: null, instructions: null, tools, prompts: {}, templates: {} }
  }
  const at = '/inputSchema/x-authzen-mapping'
  expect(diffManifests(of(undefined), of('a'))[0]?.differences).toMatchObject([{ pointer: at }])
  expect(diffManifests(of('a'), of('$params.arguments.id'))[0]?.differences).toEqual([
    { pointer: `${at}/evaluation/resource/id`, before: 'a', after: '$params.arguments.id' },
  ])
})
