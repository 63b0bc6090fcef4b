import { expect, it } from 'vitest'
import { refusedAnswer } from './answers.ts'

const refused = (detail: string) => {
  const { status, body } = refusedAnswer({ refused: 'mcp_version_unsupported', detail }, { id: 7, era: 'modern' })
  return { status, ...JSON.parse(Buffer.from(body as Uint8Array).toString()) }
}

it('names the versions that a client of its era may use instead', () => {
  const error = { code: -32022, data: { supported: ['2026-07-28'], requested: '2099-01-01' } }
  expect(refused('2099-01-01')).toMatchObject({ status: 400, id: 7, error })
  expect(refused('2024-11-05').error.data.supported).toContain('2025-11-25')
})
