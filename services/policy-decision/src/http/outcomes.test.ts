import { type EnforcementPoint, outcomeResultsSchema } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { Health, httpServer, logger, metrics } from '@bailiwick/host'
import { testClock } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { outcomesRoute } from './outcomes.ts'

const outcome = `${'a'.repeat(40)}.${'b'.repeat(40)}.${'c'.repeat(86)}`

async function aServer(report: (point: EnforcementPoint['id'], jws: string) => Promise<void>) {
  const http = await httpServer({
    logger: logger({ service: 'test', level: 'silent' }),
    clock: testClock(),
    health: new Health(),
    metrics: metrics({ service: 'test', processMetrics: false }),
  })
  outcomesRoute(http, {
    authenticate({ authorization }) {
      if (authorization !== 'Bearer point') throw new ServiceError('caller_unauthenticated')
      return { id: 'point' } as EnforcementPoint
    },
    reportOutcome: (point, jws) => report(point.id, jws),
  })
  return http
}

it('answers 401 to a stranger for every body, and reads none', async () => {
  const said: [EnforcementPoint['id'], string][] = []
  await using http = await aServer(async (point, jws) => void said.push([point, jws]))
  const tell = async (authorization: string, payload: string) => {
    const headers = { authorization, 'content-type': 'application/json' }
    return (await http.inject({ method: 'POST', url: '/v1/outcomes', headers, payload })).statusCode
  }
  const bodies = ['{', '{}', '{"outcome":7}', ' '.repeat(70_000), JSON.stringify({ outcome })]
  for (const body of bodies) expect(await tell('Bearer stranger', body)).toBe(401)
  expect(said).toEqual([])
  const answers = []
  for (const body of bodies) answers.push(await tell('Bearer point', body))
  expect(answers).toEqual([400, 400, 400, 400, 204])
  expect(said).toEqual([['point', outcome]])
})

it('answers each of a list by itself: one bad outcome takes no other along', async () => {
  const at = (n: number) => `${'a'.repeat(40)}.${'b'.repeat(40)}.${String(n).padStart(86, 'c')}`
  const said: string[] = []
  await using http = await aServer(async (_, jws) => {
    if (jws === at(2)) throw new ServiceError('outcome_mismatch', 'the decision has another outcome')
    if (jws === at(3)) throw new ServiceError('queue_full')
    if (jws === at(4)) throw new Error('secret')
    said.push(jws)
  })
  const tell = async (outcomes: unknown, more = {}) => {
    const headers = { authorization: 'Bearer point', 'content-type': 'application/json' }
    const payload = JSON.stringify({ outcomes, ...more })
    const { statusCode, body } = await http.inject({ method: 'POST', url: '/v1/outcomes', headers, payload })
    return { statusCode, results: JSON.parse(body).results }
  }
  const long = `${'a'.repeat(40_000)}.b.c`
  const list = [at(1), at(2), 7, null, {}, long, 'a.b', at(3), at(4), at(5), at(1)]
  const { statusCode, results } = await tell(list)
  expect(statusCode).toBe(200)
  expect(outcomeResultsSchema.parse({ results }).results.map(({ status }) => status)).toEqual([
    204, 409, 400, 400, 400, 400, 400, 429, 500, 204, 204,
  ])
  expect(results[1]).toEqual({
    type: 'urn:bailiwick:error:outcome_mismatch',
    title: expect.any(String),
    status: 409,
    code: 'outcome_mismatch',
    retryable: false,
    detail: 'the decision has another outcome',
  })
  expect(JSON.stringify(results)).not.toContain('secret')
  expect(said).toEqual([at(1), at(5), at(1)])
  // A body that is not a list of the allowed length is refused as a whole, before any item is read.
  const whole = [[], Array.from({ length: 129 }, (_, n) => at(n)), Array(10_000).fill('a.b.c'), 'a.b.c', { 0: at(1) }]
  for (const each of whole) expect((await tell(each)).statusCode).toBe(400)
  expect((await tell([at(1)], { outcome: at(1) })).statusCode).toBe(400)
  expect((await tell(Array(10_000).fill(at(1)))).statusCode).toBe(413)
  expect(said).toHaveLength(3)
})
