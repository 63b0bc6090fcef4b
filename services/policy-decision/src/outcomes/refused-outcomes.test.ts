import { expect, it } from 'vitest'
import { RefusedOutcomes } from './refused-outcomes.ts'

const data = (decision_id: string, code: 'outcome_mismatch' | 'outcome_sequence_reused' = 'outcome_mismatch') =>
  ({ decision_id, grant_id: 'grt_1', enforcement_point: 'point', code, outcome: 'a.b.c' }) as never

it('go on the log once per decision, even if their point signs more (V10, V18)', async () => {
  const drafts: object[] = []
  const refused = new RefusedOutcomes({ record: async (given) => void drafts.push(...given) as never })
  for (const each of [data('dec_1'), data('dec_1'), data('dec_1', 'outcome_sequence_reused'), data('dec_2')])
    refused.tell(each)
  await refused[Symbol.asyncDispose]()
  expect(drafts).toMatchObject([
    { type: 'outcome.refused', subject: 'dec_1', key: 'grt_1', data: { code: 'outcome_mismatch' } },
    { subject: 'dec_1', data: { code: 'outcome_sequence_reused' } },
    { subject: 'dec_2' },
  ])
})

it('delay no caller while the bus is away: without room, one is answered, but not recorded (V18)', async () => {
  const away = Promise.withResolvers<never>()
  const drafts: object[] = []
  const refused = new RefusedOutcomes({
    record: (given) => {
      drafts.push(...given)
      return away.promise
    },
  })
  for (let n = 0; n < 100; n++) refused.tell(data(`dec_${n}`))
  expect(drafts).toHaveLength(64)
  away.reject(new Error('away'))
  await refused[Symbol.asyncDispose]()
})
