import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { ServiceError } from '@bailiwick/errors'
import { logger } from '@bailiwick/host'
import { paths, policySetOf } from '@bailiwick/installation'
import type { Voice } from '@bailiwick/instance'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { watchPolicies } from './watch-policies.ts'

const approved = new Map([['all.cedar', Buffer.from('permit(principal, action, resource);')]])
const { hash } = policySetOf(approved)

let data = ''
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'policies-'))
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
})
afterEach(() => {
  vi.useRealTimers()
  rmSync(data, { recursive: true })
})

function put(text: string): void {
  const file = join(paths(data).policies(hash), 'all.cedar')
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
}

function aWatch(policySet: { hash: string } | undefined) {
  const told: unknown[] = []
  const world = { told, inTheLog: new Set<string>(), answer: async (): Promise<void> => undefined }
  const participant = {
    projection: { ledger: { registry: { policySet } } },
    producer: {
      publish: async (topic: string, drafts: readonly object[]) => {
        told.push([topic, ...drafts])
        await world.answer()
      },
    },
  } as unknown as Pick<Voice, 'projection' | 'producer'>
  const index = { isTold: (name: string) => world.inTheLog.has(name) }
  const watch = watchPolicies({ data, participant, index, logger: logger({ service: 'evidence', level: 'silent' }) })
  return Object.assign(world, {
    pass: () => vi.advanceTimersByTimeAsync(5000),
    end: () => watch[Symbol.asyncDispose](),
  })
}

it('says nothing of the files that people approved, of none, and while no set is active', async () => {
  const absent = aWatch({ hash })
  await absent.pass()
  await absent.end()
  put('permit(principal, action, resource);')
  const asApproved = aWatch({ hash })
  await asApproved.pass()
  await asApproved.end()
  put('forbid(principal, action, resource);')
  const none = aWatch(undefined)
  await none.pass()
  expect([absent, asApproved, none].flatMap(({ told }) => told)).toEqual([])
})

it('tells of files that were changed, of each change once', async () => {
  put('forbid(principal, action, resource);')
  const changed = policySetOf(new Map([['all.cedar', Buffer.from('forbid(principal, action, resource);')]])).hash
  const watch = aWatch({ hash })
  await watch.pass()
  await watch.pass()
  const finding = (found: string) => [
    'findings.v1',
    { type: 'policy-files.changed', subject: `policy-set ${hash} ${found}`, data: { policy_set: hash, found } },
  ]
  expect(watch.told).toEqual([finding(changed)])
  put('forbid(principal, action, resource) unless { false };')
  await watch.pass()
  expect(watch.told).toHaveLength(2)
  await watch.end()
  await watch.pass()
  expect(watch.told).toHaveLength(2)
})

it('tells of files that cannot be read, and not again what stands in the log', async () => {
  mkdirSync(join(paths(data).policies(hash), 'all.cedar'), { recursive: true })
  const name = `policy-set ${hash} unreadable`
  const watch = aWatch({ hash })
  await watch.pass()
  expect(watch.told).toEqual([
    ['findings.v1', { type: 'policy-files.changed', subject: name, data: { policy_set: hash } }],
  ])
  const next = aWatch({ hash })
  next.inTheLog.add(name)
  await next.pass()
  expect(next.told).toEqual([])
})

it('tells again what the bus did not take, but not what may be on it already', async () => {
  put('forbid(principal, action, resource);')
  const refused = aWatch({ hash })
  refused.answer = () => Promise.reject(new ServiceError('bus_unavailable'))
  await refused.pass()
  await refused.pass()
  expect(refused.told).toHaveLength(2)
  const unknown = aWatch({ hash })
  unknown.answer = () => Promise.reject(new ServiceError('outcome_unknown'))
  await unknown.pass()
  await unknown.pass()
  expect(unknown.told).toHaveLength(1)
})
