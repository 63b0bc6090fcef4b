import { describe, expect, it } from 'vitest'
import { type Failure, failureOf, reasonOf } from './failure.ts'

const typed = (type: string) =>
  Object.assign(new Error('said'), { name: 'KafkaJSProtocolError', type, retriable: true })
const named = (name: string) => Object.assign(new Error('said'), { name, retriable: false })

describe('failureOf', () => {
  it.each<[Failure, unknown]>([
    ['forbidden', typed('TOPIC_AUTHORIZATION_FAILED')],
    ['forbidden', typed('CLUSTER_AUTHORIZATION_FAILED')],
    ['forbidden', named('KafkaJSSASLAuthenticationError')],
    ['too_large', typed('MESSAGE_TOO_LARGE')],
    ['fenced', typed('OUT_OF_ORDER_SEQUENCE_NUMBER')],
    ['fenced', typed('INVALID_PRODUCER_EPOCH')],
    ['unknown_topic', typed('UNKNOWN_TOPIC_OR_PARTITION')],
    ['broken', typed('INVALID_RECORD')],
    ['broken', new RangeError('Maximum call stack size exceeded')],
    ['transient', typed('NOT_LEADER_FOR_PARTITION')],
    ['transient', typed('NOT_ENOUGH_REPLICAS')],
    ['transient', named('KafkaJSNumberOfRetriesExceeded')], // kafkajs calls a dead broker not retriable
    ['transient', undefined],
  ])('is %s for %s', (failure, error) => {
    expect(failureOf(error)).toBe(failure)
    const wrapped = new Error('wrapped', { cause: new Error('again', { cause: error }) })
    expect(failureOf(wrapped)).toBe(failure)
  })

  it('ends on causes that go in a circle', () => {
    const error = new Error('circle')
    error.cause = error
    expect(failureOf(error)).toBe('transient')
  })

  it('gives a short reason of anything', () => {
    expect(reasonOf(typed('INVALID_RECORD'))).toBe('INVALID_RECORD')
    expect(reasonOf(new Error('x'.repeat(1000)))).toHaveLength(200)
    expect(reasonOf(undefined)).toBe('undefined')
  })
})
