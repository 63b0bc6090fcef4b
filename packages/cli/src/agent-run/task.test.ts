import { writeFileSync } from 'node:fs'
import type { AccessTask, GrantState } from '@bailiwick/agent'
import { ServiceError } from '@bailiwick/errors'
import { testClock } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { type Folder, temporaryFolder } from '../io.fixture.ts'
import { obtainGrants } from './task.ts'

const approved: AccessTask = { requestId: 'req_1', status: 'approved', grantId: 'grt_1' }

const authority = {
  type: 'bailiwick_task',
  task: 't',
  permissions: [{ actions: ['a'], resource: { type: 'tool', id: 'x/y' } }],
}

/** An agent whose requests humans answer like this, and whose issuer says this of each grant. */
function asking(state: () => Promise<GrantState>, answers: AccessTask[] = [approved]) {
  const completed: string[] = []
  const cancelled: string[] = []
  const agent = {
    request: async () => ({ ...(answers[asked++] ?? approved), status: 'pending' as const }),
    waitForDecision: async (id: string) => answers.find(({ requestId }) => requestId === id) ?? approved,
    status: async (id: string) => answers.find(({ requestId }) => requestId === id) ?? approved,
    cancel: async (id: string) => void cancelled.push(id),
    grantState: state,
    complete: async (grant: object) => void completed.push(JSON.stringify(grant)),
    credential: async () => ({ token: 't', expiresAt: 0, authorizationDetails: [authority], grantExpiresAt: 9 }),
  }
  let asked = 0
  const io = { err: () => undefined, clock: testClock() }
  const { signal } = new AbortController()
  return { completed, cancelled, asking: { agent, io, publicUrl: 'http://localhost:8420', signal } }
}

const live = async () => 'live' as const
const usual = { grant: [], expires: 3600 }
/** Files with tasks. */
function tasks(folder: Folder, count: number): string[] {
  return Array.from({ length: count }, (_, n) => {
    writeFileSync(folder.at(`task-${n}.json`), '{}')
    return folder.at(`task-${n}.json`)
  })
}

it.each<[string, () => Promise<GrantState>, string]>([
  ['the issuer is away', () => Promise.reject(new ServiceError('service_unreachable')), 'service_unreachable'],
  ['it is suspended', async () => 'suspended', 'grant_not_active'],
])('gives a grant back that a human gave, and that cannot be used because %s', async (_, state, code) => {
  using folder = temporaryFolder()
  const { completed, asking: at } = asking(state)
  await expect(obtainGrants({ ...usual, task: tasks(folder, 1) }, at)).rejects.toMatchObject({ code })
  expect(completed).toEqual(['{"grantId":"grt_1"}'])
})

it('gives no grant back that it did not ask for, and asks for nothing if one that was named has ended', async () => {
  using folder = temporaryFolder()
  const { completed, cancelled, asking: at } = asking(async () => 'ended')
  const options = { ...usual, grant: ['grt_2'], task: tasks(folder, 1) }
  await expect(obtainGrants(options, at)).rejects.toMatchObject({ code: 'grant_not_active' })
  expect([completed, cancelled]).toEqual([[], []])
})

it('has each grant that was named, that a human gave, and that is a part of a task that rules split', async () => {
  using folder = temporaryFolder()
  const item = (n: number) => ({ action: 'a', resource: { type: 'tool', id: `x/${n}` }, status: 'approved' as const })
  const answers: AccessTask[] = [
    { requestId: 'req_1', status: 'denied' },
    {
      requestId: 'req_2',
      status: 'partial',
      items: [
        { ...item(1), grantId: 'grt_b' },
        { ...item(2), grantId: 'grt_b' },
      ],
    },
    { requestId: 'req_3', status: 'approved', grantId: 'grt_c' },
  ]
  const { asking: at } = asking(live, answers)
  const obtained = await obtainGrants({ ...usual, grant: ['grt_a', 'grt_a'], task: tasks(folder, 3) }, at)
  expect(obtained.map(({ grantId, isOwn, expiresAt }) => [grantId, isOwn, expiresAt])).toEqual([
    ['grt_a', false, 9],
    ['grt_b', true, 9],
    ['grt_c', true, 9],
  ])
})

it('withdraws all that it asked for, and gives back what a human gave, if one of several requests fails', async () => {
  using folder = temporaryFolder()
  const { completed, cancelled, asking: at } = asking(live, [approved, { requestId: 'req_2', status: 'pending' }])
  const waitForDecision = async (id: string) => {
    if (id === 'req_2') throw new ServiceError('access_request_unknown')
    return approved
  }
  const options = { ...usual, task: tasks(folder, 2) }
  await expect(obtainGrants(options, { ...at, agent: { ...at.agent, waitForDecision } })).rejects.toMatchObject({
    code: 'access_request_unknown',
  })
  expect([completed, cancelled]).toEqual([['{"grantId":"grt_1"}'], ['req_1', 'req_2']])
})
