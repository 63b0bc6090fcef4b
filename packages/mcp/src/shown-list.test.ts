import { expect, it } from 'vitest'
import { showList, usableTools } from './shown-list.ts'

it('shows a part of a list, and every other byte as it came', () => {
  const text =
    '{"jsonrpc":"2.0","id":1,"result":{"x":1.0,"tools":[ {"name":"a","y":1e2} , {"name":"b"},{"name":"c"}],"cacheScope":"public","nextCursor":"n"}}'
  expect(showList(text, JSON.parse(text), { member: 'tools', keep: ({ name }) => name !== 'b' })).toBe(
    '{"jsonrpc":"2.0","id":1,"result":{"x":1.0,"tools":[{"name":"a","y":1e2},{"name":"c"}],"cacheScope":"private","nextCursor":"n"}}',
  )
  const error = '{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no"}}'
  expect(showList(error, JSON.parse(error), { member: 'tools', keep: () => false })).toBe(error)
})

it('hides names that collide, that look like a method, or that are the gateway’s own', () => {
  const names = [
    'read',
    'Write',
    'write',
    'resources/read',
    'bailiwick_request_access',
    'Bailiwick_x',
    'a b',
    're\u0430d',
    '',
    'x'.repeat(129),
  ]
  expect([...usableTools(names)]).toEqual(['read'])
})
