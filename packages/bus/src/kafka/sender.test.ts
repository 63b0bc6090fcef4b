import { describe, expect, it } from 'vitest'
import { baseOffset } from './sender.ts'

const answer = { topicName: 't', partition: 2, errorCode: 0, baseOffset: '41' }

describe('an acknowledgement', () => {
  it('is an answer that names the partition, without an error (rule 2)', () => {
    expect(baseOffset([answer], 't', 2)).toBe(41)
    expect(baseOffset([{ ...answer, partition: 0, baseOffset: '7' }, answer], 't', 2)).toBe(41)
  })

  it.each([
    ['nothing, as kafkajs gives for a partition that is not there', []],
    ['another partition, as it gives when a leader died (repro A)', [{ ...answer, partition: 1 }]],
    ['another topic', [{ ...answer, topicName: 'u' }]],
    ['an error', [{ ...answer, errorCode: 6 }]],
    ['no offset', [{ topicName: 't', partition: 2, errorCode: 0 }]],
    ['offset -1', [{ ...answer, baseOffset: '-1' }]],
    ['the partition twice', [answer, answer]],
  ])('is not %s', (_, given) => {
    expect(() => baseOffset(given, 't', 2)).toThrow('does not acknowledge')
  })
})
