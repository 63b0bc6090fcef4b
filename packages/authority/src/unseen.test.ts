import { expect, it } from 'vitest'
import type { Authority } from './schema.ts'
import { spellForeign, spellUnseen, unseenIn } from './unseen.ts'

const comparing = (where: Authority['permissions'][number]['where']): Authority => ({
  type: 'bailiwick_task',
  task: 't',
  permissions: [
    { actions: ['GET'], resource: { type: 'tool', id: 't' } },
    { actions: ['GET'], resource: { type: 'tool', id: 't' }, ...(where ? { where } : {}) },
  ],
  budget: {},
  max_depth: 0,
  max_children: 0,
})

it('tells where an invisible character stands, in a name as in a value', () => {
  for (const hidden of ['\u202e', '\u200b', '\u3164', '\ufe0f', '\n', '\u2028', '\ue000', '\u{e0041}']) {
    for (const where of [
      { [`/a${hidden}`]: { eq: true } },
      { '/a': { eq: `x${hidden}` } },
      { '/a': { in: ['x', `${hidden}x`] } },
      { '/a': { prefix: hidden } },
    ])
      expect([hidden, unseenIn(comparing(where))]).toEqual([hidden, '/permissions/1/where'])
  }
  expect(unseenIn(comparing({ '/Straße': { in: ['Zürich', '東京', 'ACME "Ltd" <x>'], min: '1' } }))).toBeUndefined()
  expect(unseenIn(comparing(undefined))).toBeUndefined()
})

it('spells invisible characters and all but printable ASCII as JSON does, unit by unit', () => {
  expect(spellUnseen('a\u202eb\n\u{e0041}é東')).toBe('a\\u202eb\\u000a\\udb40\\udc41é東')
  expect(spellForeign('aé\u200b~ \u{1f600}')).toBe('a\\u00e9\\u200b~ \\ud83d\\ude00')
  expect([spellUnseen('Straße 1'), spellForeign('Strasse 1')]).toEqual(['Straße 1', 'Strasse 1'])
})
