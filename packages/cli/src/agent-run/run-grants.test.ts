import type { GrantState } from '@bailiwick/agent'
import { expect, it } from 'vitest'
import { RunGrants } from './run-grants.ts'
import type { ObtainedGrant } from './task.ts'

const on = (type: string, id: string) => ({ actions: ['tools/call'], resource: { type, id } })
const grant = (grantId: string, permissions: object[], more: Partial<ObtainedGrant> = {}): ObtainedGrant => ({
  ...{ grantId, isOwn: true, expiresAt: 100_000 },
  authority: { type: 'bailiwick_task', task: 't', permissions, budget: {}, max_depth: 0, max_children: 0 } as never,
  ...more,
})

/** Grants, the state of each as the issuer says it, and the time. */
function run(...grants: ObtainedGrant[]) {
  const states = new Map<string, GrantState>()
  const completed: string[] = []
  const said: string[] = []
  const at = { now: 0 }
  const agent = {
    grantState: async ({ grantId }: { grantId: string }) => states.get(grantId) ?? 'live',
    complete: async ({ grantId }: { grantId: string }) => void completed.push(grantId),
  }
  const options = { agent: agent as never, io: { err: (line: string) => void said.push(line) }, everyMs: 1 }
  const of = new RunGrants(grants, { ...options, clock: { now: () => at.now } })
  const watching = new AbortController()
  return { of, states, completed, said, at, watching, over: of.untilOver(watching.signal) }
}

const erp = grant('grt_erp', [on('tool', 'erp/read')])
const forge = grant('grt_forge', [on('tool', 'forge/read'), on('model', 'acme/small')])

it('tries an entry under the grants that are for it, and under all if none names it', () => {
  const { of, watching, over } = run(erp, forge, grant('grt_api', [on('api', 'https://x.example/a')]))
  watching.abort(new Error('over'))
  over.catch(() => undefined)
  expect(of.for({ kind: 'http', name: 'erp' })).toEqual(['grt_erp', 'grt_api'])
  expect(of.for({ kind: 'git', name: 'forge' })).toEqual(['grt_forge'])
  expect(of.for({ kind: 'models', name: 'acme' })).toEqual(['grt_forge'])
  expect(of.for({ kind: 'git', name: 'acme' })).toEqual(['grt_erp', 'grt_forge', 'grt_api'])
})

it('ends the run when one of several grants is withdrawn, and gives back the others (V7)', async () => {
  const { of, states, over, completed } = run(erp, forge)
  states.set('grt_forge', 'ended')
  expect(await over).toEqual({ why: 'withdrawn', grantId: 'grt_forge' })
  expect(of.for({ kind: 'git', name: 'forge' })).toEqual(['grt_erp'])
  await of[Symbol.asyncDispose]()
  expect(completed).toEqual(['grt_erp'])
})

it('goes on without a grant whose time is over, and ends with the last one', async () => {
  const { of, states, over, said, at } = run(erp, { ...forge, isOwn: false, expiresAt: 200_000 })
  at.now = 99_000
  states.set('grt_erp', 'ended')
  await expect.poll(() => said.join()).toContain('goes on with the others')
  expect(of.live.map(({ grantId }) => grantId)).toEqual(['grt_forge'])
  at.now = 200_000
  states.set('grt_forge', 'ended')
  expect(await over).toEqual({ why: 'over' })
})

it('takes no end for the own wish of the program whose try to complete it failed', async () => {
  const one = run(erp)
  one.of.completing('grt_erp', Promise.reject(new Error('grant_not_active')))
  one.states.set('grt_erp', 'ended')
  expect(await one.over).toEqual({ why: 'withdrawn', grantId: 'grt_erp' })
  // A second try that fails takes nothing from the first one.
  const twice = run(erp)
  twice.of.completing('grt_erp', Promise.resolve())
  twice.of.completing('grt_erp', Promise.reject(new Error('service_unreachable')))
  twice.states.set('grt_erp', 'ended')
  expect(await twice.over).toEqual({ why: 'completed' })
  const other = run(erp, forge)
  for (const each of ['grt_erp', 'grt_forge']) {
    other.of.completing(each, Promise.resolve())
    other.states.set(each, 'ended')
  }
  expect(await other.over).toEqual({ why: 'completed' })
})
