import { ServiceError } from '@bailiwick/errors'
import { Health, type HttpServer, httpServer, logger, metrics } from '@bailiwick/host'
import { testClock } from '@bailiwick/kit'
import { afterAll, beforeAll, beforeEach } from 'vitest'
import type { AuthZenDecider, AuthZenEvaluation, AuthZenSearch } from './decider.ts'
import { PageTokens } from './page-tokens.ts'
import { authZenRoutes } from './routes.ts'

export const clock = testClock(1_800_000_000_000)
export const json = { authorization: 'Bearer friend', 'content-type': 'application/json' }
export const subject = { type: 'user', id: 'alice' }
export const action = { name: 'read' }
export const resource = { type: 'doc', id: '1' }

/** The questions to the decider in this test. */
export const asked: AuthZenEvaluation[] = []
export const searched: AuthZenSearch[] = []
/** Documents with an odd id may be read. For id 13 the decider has no answer, and id 14 needs a nonce. */
const decider: AuthZenDecider = {
  admit({ authorization, confidential }) {
    if (authorization !== 'Bearer friend' || !confidential) throw new ServiceError('caller_unauthenticated')
    return {
      async evaluate(evaluation) {
        asked.push(evaluation)
        if (evaluation.resource.id === '13') throw new Error('secret inside')
        if (evaluation.resource.id === '14') return { decision: false, context: { dpop_nonce: 'nonce-14' } }
        if (evaluation.resource.id === '12') throw new ServiceError('queue_full')
        return { decision: Number(evaluation.resource.id) % 2 === 1 }
      },
      async search(search) {
        searched.push(search)
        return { ids: ['d', 'b', 'a', 'c', 'b', 'e'] }
      },
    }
  },
}
const pageTokens = new PageTokens({ key: new Uint8Array(32).fill(7), now: clock.now, lifeMs: 60_000 })
/** The binding alone, in front of a decider that the tests can inspect. */
export let http: HttpServer

/** Serves for the tests of one file. Test files may share module state. */
export function serve(): void {
  beforeAll(async () => {
    http = await httpServer({
      logger: logger({ service: 'test', level: 'silent' }),
      clock,
      health: new Health(),
      metrics: metrics({ service: 'test', processMetrics: false }),
    })
    authZenRoutes(http, decider, {
      publicUrl: 'https://pdp.example',
      pageTokens,
      clock,
      mostItems: 64,
      boxcarBytes: 100_000,
    })
  })
  afterAll(() => http.close())
  beforeEach(() => {
    asked.length = 0
    searched.length = 0
  })
}

export const post = (path: string, body: unknown, headers: Record<string, string> = json) =>
  http.inject({
    method: 'POST',
    url: `/access/v1/${path}`,
    headers,
    payload: typeof body === 'string' ? body : JSON.stringify(body),
  })
