import { writeFileSync } from 'node:fs'
import type { AccessTask, GrantState } from '@bailiwick/agent'
import { ServiceError } from '@bailiwick/errors'
import { testClock } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { temporaryFolder } from '../io.fixture.ts'
import { obtainGrant } from './task.ts'

const approved: AccessTask = { requestId: 'req_1', status: 'approved', grantId: 'grt_1' }

/** An agent whose request a human approved, and whose issuer says this of the grant. */
function asking(state: () => Promise<GrantState>) {
  const completed: string[] = []
  const agent = {
    request: async () => approved,
    waitForDecision: async () => approved,
    cancel: async () => undefined,
    grantState: state,
    complete: async (grant: object) => void completed.push(JSON.stringify(grant)),
  }
  const io = { err: () => undefined, clock: testClock() }
  const { signal } = new AbortController()
  return { completed, asking: { agent, io, publicUrl: 'http://localhost:8420', signal } }
}

it.each<[string, () => Promise<GrantState>, string]>([
  ['the issuer is away', () => Promise.reject(new ServiceError('service_unreachable')), 'service_unreachable'],
  ['it is suspended', async () => 'suspended', 'grant_not_active'],
])('gives a grant back that a human gave, and that cannot be used because %s', async (_, state, code) => {
  using folder = temporaryFolder()
  writeFileSync(folder.at('task.json'), '{}')
  const { completed, asking: at } = asking(state)
  const options = { task: folder.at('task.json'), expires: 3600 }
  await expect(obtainGrant(options, at)).rejects.toMatchObject({ code })
  expect(completed).toEqual(['{"grantId":"grt_1"}'])
})

it('gives no grant back that it did not ask for', async () => {
  const { completed, asking: at } = asking(async () => 'ended')
  await expect(obtainGrant({ grant: 'grt_2', expires: 3600 }, at)).rejects.toMatchObject({ code: 'grant_not_active' })
  expect(completed).toEqual([])
})
