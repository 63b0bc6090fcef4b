import { buildStepUpStatement } from '@bailiwick/approval-statement'
import {
  anApprover,
  aPasskey,
  aRule,
  authority,
  byId,
  iso,
  agent as ledger,
  now as signedAt,
  trust,
} from '@bailiwick/approval-statement/samples'
import { jcsHash } from '@bailiwick/credentials'
import { emptySpend } from '@bailiwick/projection'
import { describe, expect, it } from 'vitest'
import { now, world } from '../steps/living-call.fixture.ts'
import { type StepUp, StepUps } from './step-ups.ts'

const yes: StepUp = {
  requestId: 'req_1',
  actionDigest: 'digest',
  approvedAt: now,
  notAfter: now + 1,
  approverIds: ['eve'],
}

/** The step-up that is found for the action, after the given events. */
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
  expect(found({ stepUps: [{ ...yes, requestId: 'req_2' }] })).toBeUndefined() // this request is unknown
  expect(found({ stepUps: [{ ...yes, actionDigest: 'another' }, yes] })).toBe(yes)
})

it('serves once, and again where what it served was taken back before anybody was told (V10)', () => {
  expect(found({ standing: 'open' })).toBeUndefined()
  expect(found({ standing: 'settled' })).toBeUndefined()
  expect(found({ standing: 'abandoned' })).toBe(yes)
})

describe('whose yes this PDP verified itself (V3)', () => {
  const anna = aPasskey()
  const grant = {
    id: `grt_${'g'.repeat(43)}`,
    agent: `${ledger.id}/one`,
    authority: { ...authority, max_depth: 0, max_children: 0 },
    mode: 'continuous',
    not_after: iso(signedAt + 3_600_000),
  }
  const id = 'req_01234567890123456789'
  const notAfter = signedAt + 600_000
  const statement = buildStepUpStatement({
    installation: trust.installation,
    request_id: id,
    grant_id: grant.id,
    action_digest: jcsHash('action'),
    arguments: 'shown',
    effect: { kind: 'action' },
    not_after: iso(notAfter),
    nonce: 'AAAAAAAAAAAAAAAAAAAAAA',
    now: signedAt,
  })
  const approved = { statement, statement_hash: jcsHash(statement), assertions: [anna.sign(statement)] }
  const received = { kind: 'step_up', arguments: { salted_sha256: jcsHash('words') } }
  const record = { id, received, approvedAt: signedAt + 1000, approved }

  function world(...records: object[]) {
    const asked = { views: [] as number[], ends: [] as unknown[] }
    const view = {
      approvers: byId(anApprover('anna', ['finance'], anna)),
      rules: byId(aRule()),
      agents: byId(ledger),
      toolServers: byId(),
    }
    const registry = { taken: 0, changedSince: () => false, view: (at: number) => asked.views.push(at) && view }
    const requests = { stepUpsOf: (root: string) => (root === grant.id ? records : []) }
    let reading: Promise<void> = Promise.resolve()
    const projection = {
      ledger: { registry, requests },
      readToEnds: (...what: unknown[]) => {
        asked.ends.push(what)
        return reading
      },
    }
    const stepUps = new StepUps(projection as never, trust as never)
    const tree = { id: grant.id, grant } as never
    return { asked, stepUps, tree, breaks: () => (reading = Promise.reject(new Error('the bus is away'))) }
  }
  const verified = {
    requestId: id,
    actionDigest: jcsHash('action'),
    approvedAt: signedAt + 1000,
    notAfter,
    approverIds: ['anna'],
  }

  it('counts, with who said it, judged once, by the registry of when it was approved', async () => {
    const { asked, stepUps, tree } = world(record)
    expect(await stepUps.of(tree)).toStrictEqual([verified])
    expect(await stepUps.of(tree)).toStrictEqual([verified])
    expect(asked.views).toEqual([signedAt + 1000])
    expect(await stepUps.of({ id: 'grt_other', grant } as never)).toEqual([])
  })

  it('reopens a lapsed task only where the statement says so (V3)', async () => {
    const asSigned = async (of: typeof statement) => {
      const signed = { statement: of, statement_hash: jcsHash(of), assertions: [anna.sign(of)] }
      const { stepUps, tree } = world({ ...record, approved: signed })
      return stepUps.of(tree)
    }
    const { effect: _, ...silent } = statement // a statement from before the `effect` member existed
    expect(await asSigned(silent)).toStrictEqual([verified])
    const until = iso(signedAt + 1_200_000)
    const goesOn = { ...statement, effect: { kind: 'task' as const, until } }
    expect(await asSigned(goesOn)).toStrictEqual([{ ...verified, taskUntil: Date.parse(until) }])
  })

  it.each<[why: string, shown: object, handedOver: object]>([
    ['only the digest was sent and signed', { arguments: undefined }, { arguments: undefined }],
    ['arguments were sent and not shown', { arguments: undefined }, {}],
    ['arguments were shown that the agent did not send', {}, { arguments: undefined }],
  ])(
    'and no step-up counts whose arguments were not shown as they were sent (V3): %s',
    async (_, shown, handedOver) => {
      const { arguments: __, ...rest } = { ...statement, ...shown }
      const of = { ...rest, ...('arguments' in shown ? {} : { arguments: 'shown' as const }) }
      const signed = { statement: of, statement_hash: jcsHash(of), assertions: [anna.sign(of)] }
      const { stepUps, tree } = world({ ...record, approved: signed, received: { ...received, ...handedOver } })
      expect(await stepUps.of(tree)).toEqual([])
    },
  )

  it.each<[why: string, over: object]>([
    ['it is not approved yet', { approved: undefined }],
    ['the statement is another request', { id: 'req_99999999999999999999' }],
    ['the statement is not what the hash says', { approved: { ...approved, statement_hash: jcsHash('other') } }],
    ['it is an approval of another kind', { approved: { ...approved, statement: { ...statement, kind: 'approval' } } }],
    ['it has no signature', { approved: { ...approved, assertions: [] } }],
    ['another passkey signed it', { approved: { ...approved, assertions: [aPasskey().sign(statement)] } }],
    ['it was over when it was approved', { approvedAt: notAfter }],
    ['the time of its approval is unknown', { approvedAt: undefined }],
    ['it cannot be read', { approved: { ...approved, assertions: undefined } }],
  ])('and no other does: %s', async (_, over) => {
    const { stepUps, tree } = world({ ...record, approved: { ...approved }, ...over }, record)
    expect(await stepUps.of(tree)).toStrictEqual([verified])
  })

  it('is looked for again in what the topic has now, and where that cannot be read, in what is here', async () => {
    const { asked, stepUps, tree, breaks } = world(record)
    expect(await stepUps.newest(tree, 5)).toStrictEqual([verified])
    breaks()
    expect(await stepUps.newest(tree, 5)).toStrictEqual([verified])
    expect(asked.ends).toEqual([
      [['approvals.v1'], 5],
      [['approvals.v1'], 5],
    ])
  })
})
