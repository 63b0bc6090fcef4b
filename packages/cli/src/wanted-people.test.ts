import { expect, it } from 'vitest'
import { parseRegistry } from './registry-file.ts'
import { withPeople } from './wanted-people.ts'

const enrolled = (id: string, ...groups: string[]) => ({
  type: 'approver' as const,
  id,
  value: { id, name: id, groups, credentials: [{ credential_id: `${id}-passkey` }] },
})
const olga = enrolled('olga', 'owners')
const people = [olga, enrolled('paul', 'finance', 'owners'), enrolled('vera')]
const wanted = (text: string) => withPeople(parseRegistry(text, 'registry.yaml'), people, 'registry.yaml')
const groupsIn = (text: string) =>
  wanted(text).map(({ id, value }) => [id, (value as { groups: string[] } | undefined)?.groups])

it('says of people what a file may say, and keeps the passkeys that they have', () => {
  expect(wanted('approvers: [{ id: olga, name: Olga O., groups: [finance] }]')).toEqual([
    { type: 'approver', id: 'olga', value: { ...olga.value, name: 'Olga O.', groups: ['finance'] } },
  ])
})

it('turns a group into one change for each person who joins or leaves it, and for no other', () => {
  expect(groupsIn('groups: [{ id: finance, members: [vera, olga] }]')).toEqual([
    ['olga', ['owners', 'finance']],
    ['paul', ['owners']],
    ['vera', ['finance']],
  ])
  expect(groupsIn('groups: [{ id: finance, members: [paul] }, { id: owners, members: [olga, paul] }]')).toEqual([])
  expect(groupsIn('groups: [{ id: owners, members: [paul] }, { id: new, members: [paul] }]')).toEqual([
    ['olga', []],
    ['paul', ['finance', 'owners', 'new']],
  ])
  expect(wanted('groups: [{ id: finance, members: [vera] }]').at(-1)?.value).toMatchObject({
    credentials: [{ credential_id: 'vera-passkey' }],
  })
})

it('leaves out of a group each person who is retired by the same file', () => {
  const text = 'groups: [{ id: finance, members: [olga] }]\nretire: [{ type: approver, id: paul }]'
  expect(groupsIn(text)).toEqual([
    ['paul', undefined],
    ['olga', ['owners', 'finance']],
  ])
})

it.each([
  ['approvers:\n  - { id: eve, name: Eve, groups: [] }', ':2: approvers: eve is not enrolled'],
  ['groups:\n  - { id: a, members: [] }\n  - { id: b, members: [eve] }', ':3: groups: b: eve is not enrolled'],
  [
    'groups: [{ id: a, members: [olga] }]\nretire: [{ type: approver, id: olga }]',
    'olga is to be retired by the same file',
  ],
  [
    'approvers:\n  - { id: olga, name: Olga, groups: [a] }\ngroups: [{ id: a, members: [paul] }]',
    ':2: approvers: olga: groups says otherwise of a',
  ],
])('refuses %j', (text, message) => {
  expect(() => wanted(text)).toThrow(message)
})
