import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { BusLogger } from './connection.ts'
import { noise } from './noise.ts'

const ERROR = 1
const WARN = 2
const INFO = 4

function heard(options?: { quietMs?: number; alarmMs?: number }) {
  const lines: string[] = []
  const at = (level: string) => (fields: object, message: string) => {
    lines.push(`${level} ${message}`)
    expect(JSON.stringify(fields)).not.toContain('secret')
  }
  const logger: BusLogger = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
  const hear = noise(logger, options)
  const say = (level: number, message: string, error?: string) =>
    hear({
      namespace: 'Connection',
      level,
      label: '',
      log: {
        timestamp: '',
        message,
        broker: 'localhost:1',
        payload: 'secret',
        ...(error === undefined ? {} : { error }),
      },
    })
  return { lines, say, hear }
}

describe('the noise of kafkajs', () => {
  it('is one warning an outage, however much is said of it', async () => {
    const { lines, say, hear } = heard({ quietMs: 30, alarmMs: 10_000 })
    for (let n = 0; n < 50; n += 1) say(ERROR, 'Connection error: connect ECONNREFUSED')
    for (let n = 0; n < 8; n += 1) {
      await sleep(10)
      say(WARN, 'Response without match')
    }
    expect(lines.filter((line) => !line.startsWith('debug'))).toEqual(['warn Connection error: connect ECONNREFUSED'])
    await sleep(60)
    say(ERROR, 'Closed connection')
    expect(lines.at(-1)).toBe('warn Closed connection')
    hear[Symbol.dispose]()
  })

  it('is an error when an outage lasts: a wrong certificate looks like one (rule 8)', async () => {
    const { lines, say, hear } = heard({ quietMs: 1000, alarmMs: 20 })
    say(ERROR, 'Connection error: self-signed certificate')
    await sleep(50)
    expect(lines.at(-1)).toBe('error Kafka still does not answer')
    hear[Symbol.dispose]()
  })

  it.each([
    ['Response Produce(key: 0, version: 7)', 'Not authorized to access topics: [Topic authorization failed]'],
    ['SASL SCRAM SHA512 authentication failed: Authentication failed', undefined],
    ['Response Produce(key: 0, version: 7)', 'The request included a message larger than the max message size'],
    ['Offset out of range, resetting to default offset', undefined],
  ])('is an error where no waiting heals: %s %s', (message, error) => {
    const { lines, say, hear } = heard()
    say(ERROR, 'connect ECONNREFUSED')
    say(ERROR, message, error)
    expect(lines.at(-1)).toBe(`error ${message}`)
    hear[Symbol.dispose]()
  })

  it('is for debugging otherwise', () => {
    const { lines, say } = heard()
    say(INFO, 'Consumer has joined the group')
    expect(lines).toEqual(['debug Consumer has joined the group'])
  })
})
