import { ServiceError } from '@bailiwick/errors'
import { expect, it, vi } from 'vitest'
import { EngineDifferences } from './engine-differences.ts'

const difference = {
  policySet: 'set',
  compiled: { outcome: 'allow' as const, policies: ['a'] },
  cedar: { outcome: 'invalid' as const, why: 'the secret of the request' },
}

it('records both answers of a difference, and nothing of the request (V17)', async () => {
  const record = vi.fn(async () => [])
  await using differences = new EngineDifferences({ record })
  differences.tell(difference)
  expect(record.mock.calls).toEqual([
    [
      [
        {
          ...{ type: 'engines.differed', subject: 'policy-set set' },
          data: {
            ...{ policy_set: 'set', compiled: { outcome: 'allow', policies: ['a'] } },
            cedar: { outcome: 'invalid', policies: [] },
          },
        },
      ],
    ],
  ])
})

it('records a few about one set, since it is switched off, and keeps within the size of an event', async () => {
  const record = vi.fn(async (_: unknown) => [])
  await using differences = new EngineDifferences({ record })
  const many = Array.from({ length: 100 }, (_, n) => `policy${n}`)
  const cedar = { outcome: 'error' as const, policies: ['x'.repeat(300), ...many] }
  for (let n = 0; n < 9; n++) differences.tell({ ...difference, cedar })
  differences.tell({ ...difference, policySet: 'another' })
  expect(record).toHaveBeenCalledTimes(5)
  expect(record.mock.calls[0]?.[0]).toMatchObject([{ data: { cedar: { policies: many.slice(0, 8) } } }])
})

it('tries again while the bus is away, until the stop', async () => {
  const record = vi.fn(async () => Promise.reject(new ServiceError('bus_unavailable')))
  const differences = new EngineDifferences({ record })
  differences.tell(difference)
  await vi.waitFor(() => expect(record.mock.calls.length).toBeGreaterThan(1), { timeout: 10_000 })
  await differences[Symbol.asyncDispose]()
  const { length } = record.mock.calls
  await new Promise((resolve) => setTimeout(resolve, 700))
  expect(record.mock.calls).toHaveLength(length)
})
