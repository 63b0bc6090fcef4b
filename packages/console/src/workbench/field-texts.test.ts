import { expect, it } from 'vitest'
import { memberOf, withMember } from './entity-fields.ts'
import { isEmpty, textKinds } from './field-texts.ts'

it.each([
  [
    'scopes',
    [{ type: 'tool', id: 'a/b' }, { type: 'tool', id_prefix: 'a/' }, { type: 'tool' }],
    'tool a/b\ntool a/*\ntool',
  ],
  [
    'asked',
    [
      { type: 'api', id_prefix: 'https://h/p/' },
      { type: 'tool', id: 'a/b' },
    ],
    'api https://h/p/*\ntool a/b',
  ],
  ['amounts', { EUR: '500.00', USD: '1' }, '500.00 EUR\n1 USD'],
  ['labels', ['writes', 'external_send'], 'writes, external_send'],
  ['lines', ['tools/call', 'a b'], 'tools/call\na b'],
  ['whole', 3, '3'],
  ['seconds', 28_800, '8 h'],
  ['seconds', 5400, '90 min'],
  ['seconds', 45, '45 s'],
  ['json', { a: [1] }, '{\n  "a": [\n    1\n  ]\n}'],
] as const)('spells %s, and reads its own spelling back', (kind, value, text) => {
  expect(textKinds[kind].spell(value)).toBe(text)
  expect(textKinds[kind].read(text)).toEqual({ ok: true, value })
})

it.each([
  ['whole', '1.5'],
  ['whole', ''],
  ['seconds', '-1'],
  ['labels', 'Writes'],
  ['asked', 'tool invoices/*'],
  ['asked', 'api https://host*'],
  ['amounts', '500'],
  ['amounts', 'EUR 500'],
  ['json', '{'],
] as const)('takes no %s from “%s”', (kind, text) => {
  expect(textKinds[kind].read(text)).toMatchObject({ ok: false })
})

it('changes one member and keeps the others, in their order', () => {
  const value = { id: 'a', match: { agents: ['x'], actions: ['y'] }, order: 1 }
  expect(memberOf(value, ['match', 'agents'])).toEqual(['x'])
  expect(memberOf(undefined, ['match', 'agents'])).toBe(undefined)
  const next = withMember(value, ['match', 'agents'], undefined)
  expect(next).toEqual({ id: 'a', match: { actions: ['y'] }, order: 1 })
  expect(Object.keys(withMember(value, ['match', 'agents'], []))).toEqual(['id', 'match', 'order'])
  expect(value.match.agents).toEqual(['x'])
})

it('leaves out an optional member that says nothing', () => {
  expect([undefined, '', [], {}].every(isEmpty)).toBe(true)
  expect([0, false, 'a', [0]].some(isEmpty)).toBe(false)
})
