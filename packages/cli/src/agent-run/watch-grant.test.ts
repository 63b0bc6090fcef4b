import type { GrantState } from '@bailiwick/agent'
import { ServiceError } from '@bailiwick/errors'
import { expect, it } from 'vitest'
import { untilEnded } from './watch-grant.ts'

/** An issuer that answers one after the other, and then says the last again. */
function issuer(...answers: (GrantState | ServiceError)[]) {
  const agent = {
    async grantState(): Promise<GrantState> {
      const answer = answers.length > 1 ? answers.shift() : answers[0]
      if (answer === undefined || answer instanceof ServiceError) throw answer
      return answer
    },
  }
  const lines: string[] = []
  const watching = new AbortController()
  const options = { agent, grantId: 'grt_1', signal: watching.signal, everyMs: 1 }
  return { lines, watching, ended: untilEnded({ ...options, report: (line) => lines.push(line) }) }
}

it('ends with the grant, and waits through a suspension', async () => {
  const { ended, lines } = issuer('live', 'suspended', 'live', 'ended')
  await ended
  expect(lines).toEqual([])
})

it('waits through an outage, says so once, and takes a grant that is unknown for one that has ended', async () => {
  const away = new ServiceError('service_unreachable')
  const { ended, lines } = issuer('live', away, away, 'live', away, new ServiceError('grant_unknown'))
  await ended
  expect(lines).toEqual([
    'cannot learn whether the task still lives: service_unreachable',
    'the issuer answers again',
    'cannot learn whether the task still lives: service_unreachable',
  ])
})

it('stops when the program has ended', async () => {
  const { ended, watching } = issuer('live')
  watching.abort(new Error('over'))
  await expect(ended).rejects.toThrow('over')
})
