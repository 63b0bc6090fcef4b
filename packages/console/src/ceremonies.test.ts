import { describe, expect, it } from 'vitest'
import { encode, showsWhatIsSigned } from './ceremonies.ts'
import type { EntityDiff } from './types.ts'

const hash = async (text: string) => encode(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)))
// One file, so that its JSON is canonical as it stands.
const setOf = async (text: string) => {
  const files = { 'all.cedar': await hash(text) }
  return { files, hash: await hash(JSON.stringify(files)), id: 'active' }
}
const policies = async (before: string, after: string): Promise<EntityDiff> => ({
  type: 'policy-set',
  id: 'active',
  verb: 'change',
  before: await setOf(before),
  after: await setOf(after),
  text: { before: { 'all.cedar': before }, after: { 'all.cedar': after } },
})
const entityOf = async ({ type, id, before, after }: EntityDiff) => ({
  type,
  id,
  version: 2,
  before: await hash(JSON.stringify(before)),
  after: await hash(JSON.stringify(after)),
})
const shown = await policies('permit', 'forbid')
const signed = [await entityOf(shown)]

it('signs a change of policies whose text is the one that is shown', async () => {
  expect(await showsWhatIsSigned([shown], signed)).toBe(true)
  // The text of the earlier set may be gone; then everything is shown as new.
  expect(
    await showsWhatIsSigned([{ ...shown, text: { before: null, after: { 'all.cedar': 'forbid' } } }], signed),
  ).toBe(true)
})

it.each<[string, EntityDiff]>([
  ['another text', { ...shown, text: { before: { 'all.cedar': 'permit' }, after: { 'all.cedar': 'permit' } } }],
  ['another text before it', { ...shown, text: { before: { 'all.cedar': 'f' }, after: { 'all.cedar': 'forbid' } } }],
  ['a file less', { ...shown, text: { before: null, after: {} } }],
  ['a file more', { ...shown, text: { before: null, after: { 'all.cedar': 'forbid', 'b.cedar': 'permit' } } }],
  ['no text', { ...shown, text: { before: null, after: null } }],
  ['nothing of it', { type: 'policy-set', id: 'active', verb: 'change', before: shown.before, after: shown.after }],
  ['another set', await policies('permit', 'permit ')],
  ['another set before it', await policies('nothing', 'forbid')],
  ['its retirement', { ...shown, verb: 'retire', after: null }],
])('signs nothing where the page shows %s (V3)', async (_, diff) => {
  expect(await showsWhatIsSigned([diff], signed)).toBe(false)
})

it('signs nothing where a set lists files that do not match its hash (V3)', async () => {
  const lying = { ...shown, after: { ...(await setOf('forbid')), files: { 'all.cedar': await hash('permit') } } }
  expect(await showsWhatIsSigned([lying], [await entityOf(lying)])).toBe(false)
  const text = { before: { 'all.cedar': 'permit' }, after: { 'all.cedar': 'permit' } }
  expect(await showsWhatIsSigned([{ ...lying, text }], [await entityOf(lying)])).toBe(false)
})

it('signs nothing where a rule’s change is shown next to an earlier rule that never existed (V3)', async () => {
  const rule = (quorum: number) => ({ id: 'r', quorum })
  const diff: EntityDiff = { type: 'rule', id: 'r', verb: 'change', before: rule(2), after: rule(1) }
  expect(await showsWhatIsSigned([diff], [await entityOf(diff)])).toBe(true)
  expect(await showsWhatIsSigned([{ ...diff, before: rule(1) }], [await entityOf(diff)])).toBe(false)
})

describe('a change of what a server of tools says of itself', () => {
  const [before, after] = ['{"tools":{}}', '{"tools":{"pay":{}}}']
  const hashOfText = (text: string) => hash(`["bailiwick-mcp-manifest-v1",${text}]`)
  const server = async (text: string) => ({ id: 'bills', manifest: await hashOfText(text) })
  const change = async (manifest: EntityDiff['manifest']): Promise<EntityDiff> => ({
    type: 'tool-server',
    id: 'bills',
    verb: 'change',
    before: await server(before),
    after: await server(after),
    ...(manifest === undefined ? {} : { manifest }),
  })

  it.each<[string, EntityDiff['manifest'], boolean]>([
    ['both texts', { before, after, look_alikes: [] }, true],
    ['the new text alone', { before: null, after, look_alikes: [] }, true],
    ['another new text (V3)', { before, after: '{"tools":{"pay":{ }}}', look_alikes: [] }, false],
    ['another text before it (V3)', { before: after, after, look_alikes: [] }, false],
    ['the texts the other way round (V3)', { before: after, after: before, look_alikes: [] }, false],
  ])('with %s', async (_, manifest, isSigned) => {
    const diff = await change(manifest)
    expect(await showsWhatIsSigned([diff], [await entityOf(diff)])).toBe(isSigned)
  })
})
