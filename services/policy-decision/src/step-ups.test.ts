import { emptySpend } from '@bailiwick/projection'
import { expect, it } from 'vitest'
import { now, world } from './living-call.fixture.ts'
import { type StepUp, StepUps } from './step-ups.ts'

const yes: StepUp = {
  requestId: 'req_1',
  actionDigest: 'digest',
  approvedAt: now,
  notAfter: now + 1,
  approverIds: ['eve'],
}

/** What is found for the action, once something happened. */
function found(
  over: { stepUps?: StepUp[]; digest?: string; at?: number; state?: string; revoked?: string; standing?: string } = {},
) {
  const { tree, pdp, revoke } = world()
  const { revocations } = pdp.projection.ledger
  const requests = new Map([['req_1', { state: over.state ?? 'approved' }]])
  if (over.revoked !== undefined) revoke('approver', over.revoked)
  const view = emptySpend()
  if (over.standing !== undefined) {
    view.byStepUp.set('req_1', 'dec_1')
    view.allows.set('dec_1', { standing: over.standing } as never)
  }
  const stepUps = new StepUps({ ledger: { requests: { requests }, revocations } } as never, {} as never)
  const standing = { tree, stepUps: over.stepUps ?? [yes] } as never
  return stepUps.find(standing, over.digest ?? 'digest', view, over.at ?? now)
}

it('a yes counts for the action that it was given to, in time, while it stands (V7, V10)', () => {
  expect(found()).toBe(yes)
  expect(found({ stepUps: [] })).toBeUndefined()
  expect(found({ digest: 'another' })).toBeUndefined()
  expect(found({ at: now + 1 })).toBeUndefined()
  expect(found({ state: 'withdrawn' })).toBeUndefined()
  expect(found({ revoked: 'eve' })).toBeUndefined()
  expect(found({ revoked: 'mallory' })).toBe(yes)
  expect(found({ stepUps: [{ ...yes, requestId: 'req_2' }] })).toBeUndefined() // of which nobody heard
  expect(found({ stepUps: [{ ...yes, actionDigest: 'another' }, yes] })).toBe(yes)
})

it('serves once, and again where what it served was taken back before anybody was told (V10)', () => {
  expect(found({ standing: 'open' })).toBeUndefined()
  expect(found({ standing: 'settled' })).toBeUndefined()
  expect(found({ standing: 'abandoned' })).toBe(yes)
})
