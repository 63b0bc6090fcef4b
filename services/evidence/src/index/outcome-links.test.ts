import { outcomeHash } from '@bailiwick/credentials'
import { expect, it } from 'vitest'
import { chainName, isWhole, outcomeLink } from './outcome-links.ts'

const said = {
  enforcement_point: 'erp-gateway',
  instance: 'i1',
  decision_id: 'dec_1',
  sequence: 2,
  previous: 'P',
  answered: 1,
}
const jwsOf = (payload: string) => `e30.${Buffer.from(payload).toString('base64url')}.c2ln`
const link = (payload: object) => outcomeLink('outcome.reported', { outcome: jwsOf(JSON.stringify(payload)) })

it('reads the place of an outcome in the chain of its instance', () => {
  const hash = outcomeHash(jwsOf(JSON.stringify(said)))
  const numbered = { sequence: 2, previous: 'P', hash }
  expect(link(said)).toEqual({ point: 'erp-gateway', instance: 'i1', decisionId: 'dec_1', numbered, answered: 1 })
  const { previous: _, answered: __, ...first } = { ...said, sequence: 1 }
  expect(link(first)).toMatchObject({ numbered: { sequence: 1, previous: undefined }, answered: undefined })
  expect(link({ ...said, answered: 0 })).toMatchObject({ answered: 0 })
})

it.each<[string, object]>([
  ['states no instance', { ...said, instance: undefined }],
  ['has the number 0', { ...said, sequence: 0 }],
  ['has no whole number', { ...said, sequence: 1.5 }],
  ['answered fewer than none', { ...said, answered: -1 }],
  ['names no decision', { ...said, decision_id: 7 }],
  ['names no point', { ...said, enforcement_point: 7 }],
])('has no place for an outcome that %s', (_, changed) => {
  expect(link(changed)).toBeUndefined()
})

it('has no place for another event, nor for what is no outcome', () => {
  const outcome = jwsOf(JSON.stringify(said))
  expect(outcomeLink('outcome.refused', { outcome })).toBeUndefined()
  for (const data of [undefined, {}, { outcome: 7 }, { outcome: 'e30' }, { outcome: jwsOf('{') }])
    expect(outcomeLink('outcome.reported', data)).toBeUndefined()
})

it('names a chain by point and instance', () => {
  expect(chainName({ point: 'erp-gateway', instance: 'i1' })).toBe('erp-gateway i1')
})

it('is whole without anything ahead or broken', () => {
  expect(isWhole({ whole: 3, ahead: [] })).toBe(true)
  expect(isWhole({ whole: 3, ahead: [], broken: [] })).toBe(true)
  expect(isWhole({ whole: 3, ahead: [[5, 5]] })).toBe(false)
  expect(isWhole({ whole: 3, ahead: [], broken: [[2, 'H']] })).toBe(false)
})
