import type { EnforcementPoint } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { Health, httpServer, logger, metrics, testClock } from '@bailiwick/service-kit'
import { expect, it } from 'vitest'
import { outcomesRoute } from './outcomes.ts'

const outcome = `${'a'.repeat(40)}.${'b'.repeat(40)}.${'c'.repeat(86)}`

it('tells a stranger so whatever is said, and reads nothing of it', async () => {
  const said: [EnforcementPoint['id'], string][] = []
  await using http = await httpServer({
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
    reportOutcome: async (point, jws) => void said.push([point.id, jws]),
  })
  const tell = async (authorization: string, payload: string) => {
    const headers = { authorization, 'content-type': 'application/json' }
    return (await http.inject({ method: 'POST', url: '/v1/outcomes', headers, payload })).statusCode
  }
  const bodies = ['{', '{}', '{"outcome":7}', ' '.repeat(70_000), JSON.stringify({ outcome })]
  for (const body of bodies) expect(await tell('Bearer stranger', body)).toBe(401)
  expect(said).toEqual([])
  const answers = []
  for (const body of bodies) answers.push(await tell('Bearer point', body))
  expect(answers).toEqual([400, 400, 400, 413, 204])
  expect(said).toEqual([['point', outcome]])
})
