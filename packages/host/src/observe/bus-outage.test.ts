import type { Bus } from '@bailiwick/bus'
import { ServiceError } from '@bailiwick/errors'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { onceItAnswers } from '../process/once-it-answers.ts'
import { BusOutage } from './bus-outage.ts'
import { Health } from './health.ts'
import { logger as makeLogger } from './logger.ts'
import { metrics as makeMetrics } from './metrics.ts'
import { observedBus } from './observe-bus.ts'

const silent = makeLogger({ service: 'test', level: 'silent' })

/** Records the log, each line with its fields. */
function listening() {
  const lines: [string, object][] = []
  const logger = makeLogger({ service: 'test', level: 'silent' })
  vi.spyOn(logger, 'warn').mockImplementation(
    ((fields: object, said: string) => void lines.push([said, fields])) as never,
  )
  return { logger, lines }
}

describe('an outage of the bus', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  function scene(late: () => string | undefined = () => undefined) {
    const { logger, lines } = listening()
    const metrics = makeMetrics({ service: 'test', processMetrics: false })
    const health = new Health()
    const monotonic = () => Date.now()
    const outage = new BusOutage({ metrics, logger, health, monotonic, late })
    const answers: PromiseWithResolvers<[]>[] = []
    const real = {
      publish: () => {
        const answer = Promise.withResolvers<[]>()
        answers.push(answer)
        return answer.promise
      },
    } as unknown as Bus
    const bus = observedBus(real, metrics, monotonic, outage)
    const shown = async (name: string) =>
      (await metrics.text())
        .split('\n')
        .find((line) => line.startsWith(`bailiwick_${name}{`))
        ?.split(' ')
        .at(-1)
    return { bus, answers, lines, health, shown }
  }

  it.each([
    ['31 s', 31],
    ['5 min', 300],
    ['1 h', 3600],
  ])('of %s: one reason, one log line when it begins and one when it ends, with its length', async (_, seconds) => {
    const { bus, answers, lines, health, shown } = scene()
    void bus.publish('heads.v1', [])
    await vi.advanceTimersByTimeAsync(2500)
    expect(health.readiness()).toEqual({})
    for (let n = 0; n < 3; n++) bus.publish('heads.v1', []).catch(() => undefined)
    await vi.advanceTimersByTimeAsync(seconds * 1000 - 2500)
    expect(health.readiness()).toEqual({ bus_away: `the bus has not answered for ${seconds} s` })
    // Waiting helps, a restart does not.
    expect(health.liveness()).toEqual({})
    expect(await shown('bus_away_seconds')).toBe(String(seconds))
    for (const answer of answers) answer.resolve([])
    await vi.advanceTimersByTimeAsync(0)
    expect(health.readiness()).toEqual({})
    expect(await shown('bus_away_seconds')).toBe('0')
    expect(await shown('bus_outages_total')).toBe('1')
    expect(lines).toEqual([
      ['the bus does not answer: this process waits, is not ready, and keeps the events that it has numbered', {}],
      ['the bus answers again', { seconds }],
    ])
  })

  it('is none while the bus answers, if with a refusal, however much is published', async () => {
    const { bus, answers, lines, health } = scene()
    for (let n = 0; n < 100; n++) {
      const refused = bus.publish('heads.v1', [])
      answers.at(-1)?.reject(new ServiceError('outcome_unknown'))
      await expect(refused).rejects.toMatchObject({ code: 'outcome_unknown' })
      await vi.advanceTimersByTimeAsync(1000)
    }
    expect(health.readiness()).toEqual({})
    expect(lines).toEqual([])
  })

  it('is also what the adapter waits for, where nothing is published', async () => {
    let reason: string | undefined = 'grants.v1: connect ECONNREFUSED'
    const { lines, health } = scene(() => reason)
    expect(health.readiness()).toEqual({ bus_away: 'the bus has not answered for 0 s' })
    reason = undefined
    await vi.advanceTimersByTimeAsync(500)
    expect(health.readiness()).toEqual({})
    expect(lines.map(([, fields]) => fields)).toEqual([{ reason: 'grants.v1: connect ECONNREFUSED' }, { seconds: 0.3 }])
  })
})

describe('a start', () => {
  it('waits for as long as nothing answers, says so once, and goes on', async () => {
    const { logger, lines } = listening()
    const reasons: (string | undefined)[] = []
    let tries = 0
    const ask = async () => {
      if (++tries < 4) throw new ServiceError('bus_unavailable', 'Kafka: could not connect: ECONNREFUSED')
    }
    const onWait = (reason: string | undefined) => void reasons.push(reason)
    await onceItAnswers(ask, { logger, onWait, monotonic: () => tries * 1000 })
    const reason = 'Kafka: could not connect: ECONNREFUSED'
    expect(reasons).toEqual([...Array(3).fill(`waits for Kafka: ${reason}`), undefined])
    expect(lines).toEqual([
      ['Kafka does not answer: this start waits for it', { reason }],
      ['Kafka answers: this start goes on', { seconds: 4 }],
    ])
  })

  it('does not wait for what a broker refuses (V13)', async () => {
    const ask = () => Promise.reject(new ServiceError('config_invalid', 'grants.v1: is missing'))
    const waiting = onceItAnswers(ask, { logger: silent, onWait: () => undefined, monotonic: () => 0 })
    await expect(waiting).rejects.toMatchObject({ code: 'config_invalid' })
  })
})
