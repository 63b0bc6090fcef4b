import type { ErrorCode } from '@bailiwick/errors'
import { expect, it } from 'vitest'
import type { Era } from './message.ts'
import { refusalOf } from './refusal.ts'

it.each<[ErrorCode, Era, boolean, number, number]>([
  ['json_malformed', 'modern', false, 400, -32700],
  ['mcp_header_mismatch', 'modern', true, 400, -32020],
  ['mcp_message_malformed', 'legacy', true, 400, -32600],
  ['mcp_method_unmapped', 'modern', true, 404, -32601],
  ['mcp_member_unmapped', 'modern', true, 400, -32602],
  // A client of the legacy era would take the status for the end of its session.
  ['mcp_method_unmapped', 'legacy', true, 200, -32601],
  ['mcp_method_unmapped', 'legacy', false, 400, -32601],
])('tells of %s in the %s era, in answer to a request (%s), with %i and %i', (refused, era, isAnswer, status, code) => {
  const told = refusalOf({ refused, detail: 'x' }, { era, isAnswer })
  expect(told).toMatchObject({ status, error: { code, data: { code: refused, detail: 'x' } } })
})

it.each([
  ['2024-11-05', ['2026-07-28', '2025-11-25']],
  ['2099-01-01', ['2026-07-28']],
])('names the versions for a client that asks for %s', (detail, supported) => {
  const { error } = refusalOf({ refused: 'mcp_version_unsupported', detail }, { era: 'modern', isAnswer: true })
  expect(error).toMatchObject({
    code: -32022,
    data: { requested: detail, supported: expect.arrayContaining(supported) },
  })
})
