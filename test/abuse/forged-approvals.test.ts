import { grantIdOf, statementHash } from '@bailiwick/approval-statement'
import type { ApprovalStatement, Assertion } from '@bailiwick/contracts'
import { sampleAuthority } from '@bailiwick/standalone/sample'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { bytesOf, Person, type Shown } from './person.ts'
import { answered, eventually, Scene, unlikely } from './scene.ts'

// What a stolen approval service can write with its own key: it can refuse and delay, but grants nothing.
// forged-events.test.ts covers what other keys can write on approvals.v1.

let scene: Scene
let owner: Person
beforeAll(async () => {
  scene = await Scene.bare({ onFatal: () => undefined })
  owner = new Person(scene.system)
  await owner.enrol()
})
afterAll(() => scene[Symbol.asyncDispose]())

let serial = 0
const ask = (name: 'reconciler' | 'forecaster' = 'reconciler') =>
  scene.asked(scene.agent(name), { ...sampleAuthority, task: `forged-${++serial}` })

interface Signed {
  statement: ApprovalStatement
  assertions: Assertion[]
}

/** Rendered, shown to the owner, signed and not submitted: what a stolen approval service has in its hands. */
async function signed(requestId: string, narrowed: object = {}): Promise<Signed> {
  const shown: Shown = await owner.rendered(requestId, narrowed)
  const assertion = owner.passkey.sign(bytesOf(shown.challenge))
  return { statement: shown.statement as unknown as ApprovalStatement, assertions: [assertion] }
}

async function approved(
  requestId: string,
  { statement, assertions }: Signed,
  over: { key?: string; subject?: string; hash?: string; version?: number; time?: string } = {},
): Promise<void> {
  await scene.readToEnds() // otherwise the next version is one that was taken
  const version = over.version ?? (scene.ledger.requests.requests.get(requestId)?.version ?? 0) + 1
  const statement_hash = over.hash ?? statementHash(statement)
  await scene.forge(
    'approvals.v1',
    {
      type: 'request.approved',
      subject: over.subject ?? requestId,
      key: over.key ?? requestId,
      version,
      ...(over.time === undefined ? {} : { time: over.time }),
      data: { request_id: requestId, statement, statement_hash, assertions },
    },
    scene.stolenKey('approval'),
  )
}

/**
 * Resolves once the issuer has judged the approval and granted nothing. The issuer works in order, and has granted a
 * later approval by then.
 */
async function nothingGranted(...requestIds: string[]): Promise<void> {
  await scene.readToEnds()
  const behind = await ask()
  const yes = await owner.rendered(behind)
  expect((await owner.approve(behind, yes)).status).toBe(200)
  await eventually('it grants', () => scene.ledger.grants.trees.get(grantIdOf(yes.statement_hash)))
  await grantedNot(...requestIds)
}

async function grantedNot(...requestIds: string[]): Promise<void> {
  await scene.readToEnds()
  const { trees } = scene.ledger.grants
  expect([...trees.values()].filter(({ grant }) => requestIds.includes(grant.request_id))).toEqual([])
}

it('an approval that is wider, longer or otherwise different from the signed statement grants nothing (V3)', async () => {
  const alterations: ((statement: ApprovalStatement) => object)[] = [
    (s) => ({ authority: { ...s.authority, budget: { calls: 200, cost: { EUR: '2000.01' } } } }),
    (s) => ({ authority: { ...s.authority, budget: { calls: 1 } } }), // narrower, which was not signed either
    (s) => ({ not_after: new Date(Date.parse(s.not_after) - 1000).toISOString() }),
    () => ({ rebind: 'attested' }),
    () => ({ instance_key: 'A'.repeat(43) }),
    (s) => ({ rule: { ...s.rule, quorum: 2 } }),
    () => ({ as_of: 1_000_000 }),
    (s) => ({ nonce: s.nonce.split('').reverse().join('') }),
    () => ({ manifests: {} }),
  ]
  for (const alter of alterations) {
    const requestId = await ask()
    const { statement, assertions } = await signed(requestId)
    const altered = { ...statement, ...alter(statement) } as ApprovalStatement
    await approved(requestId, { statement: altered, assertions })
    const grantId = grantIdOf(statementHash(altered))
    await eventually('the issuer refuses it', () => scene.ledger.grants.refused.has(grantId) || undefined)
    await grantedNot(requestId)
    await answered(() => scene.agent().cancel(requestId))
  }
})

it('a signature for one request approves no other, of the same agent or another’s (V3)', async () => {
  const [mine, same, other] = [await ask(), await ask(), await ask('forecaster')]
  const yes = await signed(mine)
  for (const elsewhere of [same, other]) {
    await approved(elsewhere, yes)
    await nothingGranted(elsewhere)
    const { statement, assertions } = yes
    await approved(elsewhere, { statement: { ...statement, request_id: elsewhere }, assertions })
    await nothingGranted(elsewhere)
  }
  await nothingGranted(mine)
  // The hash of one statement next to another statement, and no signature at all.
  const narrower = await signed(mine, { not_after: new Date(Date.now() + 60_000).toISOString() })
  await approved(mine, yes, { hash: statementHash(narrower.statement) })
  await nothingGranted(mine)
})

it('every reader ignores an approval in the wrong partition or out of order (V3)', async () => {
  const [mine, other] = [await ask('forecaster'), await ask('forecaster')]
  const before = await scene.counted()
  const yes = await signed(mine)
  await approved(mine, yes, { key: other })
  await approved(mine, yes, { subject: other })
  for (const version of [1, 3, 9]) await approved(mine, yes, { version })
  expect(await scene.counted()).toBe(before)
  await nothingGranted(mine)
})

it('one signature makes one grant, however often its approval is published (V10)', async () => {
  const requestId = await ask('forecaster')
  const yes = await signed(requestId)
  await approved(requestId, yes)
  const grantId = grantIdOf(statementHash(yes.statement))
  await eventually('the true one is granted', () => scene.ledger.grants.trees.get(grantId))
  for (const version of [2, 3, 4]) await approved(requestId, yes, { version })
  await owner.post(`requests/${requestId}/withdraw`)
  await eventually('it is revoked', () => scene.ledger.revocations.find('grant', grantId))
  const after = await scene.counted()
  for (const version of [3, 4, 5]) await approved(requestId, yes, { version })
  expect(await scene.counted()).toBe(after)
  expect(scene.ledger.grants.trees.get(grantId)?.version).toBe(1)
  // The auditor reports the thief and the numbers that the thief skipped, and nothing that was granted.
  const { findings } = await scene.audited()
  expect(unlikely(findings).filter(({ rule }) => rule !== 'version')).toEqual([])
})

it('every reader ignores what approval’s key signs after its retirement (V12)', async () => {
  const requestId = await ask()
  const yes = await signed(requestId)
  const { kid } = scene.stolenKey('approval')
  const key = scene.ledger.registry.records().find(({ type, id }) => type === 'service-key' && id.includes(kid))
  expect(key).toBeDefined()
  const { request_id: change } = (await scene.propose('service-key', key?.id, null)).body
  await owner.approve(change, await owner.rendered(change))
  await eventually(
    'it is retired',
    () => scene.ledger.registry.record('service-key', key?.id ?? '')?.value === undefined,
  )
  const before = await scene.counted()
  await approved(requestId, yes)
  expect(await scene.counted()).toBe(before)
  await grantedNot(requestId) // approval's retired key is ignored, so no later approval can mark the order
})
