import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Agent, denialOf } from '@bailiwick/agent'
import { recoveryDelayMs } from '@bailiwick/approval-statement'
import { generateKey, jcsHash, readKeyFile, type SigningKey, signGenesisStatement } from '@bailiwick/credentials'
import { paths } from '@bailiwick/installation'
import { type Clock, systemClock } from '@bailiwick/kit'
import { sample, sampleAuthority } from '@bailiwick/standalone/sample'
import { type Approver, enrolApprover, freePort, recoverApprover, startSystem } from '@bailiwick/testkit'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { pause, Scene, eventually as within } from '../abuse/scene.ts'
import { readLog } from '../audit.ts'
import { asking, fresh, tool } from '../e2e/asking.ts'
import { missingPrograms, pythonWithPackages, verifiers } from './programs.ts'
import { placesOf, read, type Said, told, verified } from './verified-log.ts'

const missing = missingPrograms().filter((program) => program.startsWith('python3'))
const yesterday: Clock = { ...systemClock, now: () => systemClock.now() - recoveryDelayMs - 60_000 }
const [reading, adjusting] = sampleAuthority.permissions
const deleting = { actions: ['tools/call'], resource: tool('delete'), max_uses: 2 }

describe.skipIf(process.env.CI !== 'true' && missing.length > 0)(
  'the independent check, of every kind of approval',
  () => {
    const data = mkdtempSync(join(tmpdir(), 'bailiwick-'))
    let entries: Uint8Array[] = []
    beforeAll(async () => {
      await pythonWithPackages(verifiers)
      entries = await everyKind(data)
    })
    afterAll(() => rmSync(data, { recursive: true, force: true }))

    const approval = (nth: number) => placesOf(entries, 'request.approved')[nth] ?? -1
    const lie = (nth: number, change: (said: Said) => void) =>
      told({ data, entries }, 'approval', approval(nth), (event) => change(event.data as never))

    it('finds recoveries, parts of a request, continuous grants and step-ups signed by the right people (V3)', async () => {
      const { code, lines, bad, err } = await verified(data, entries)
      expect([code, bad, err]).toEqual([0, [], expect.stringMatching(/, 5 grants; .*: 11 good, 0 void; 0 faults/)])
      expect(
        lines.map((line) => line.split('\t')).map(([, verdict, what, , people, of]) => [verdict, what, people, of]),
      ).toEqual([
        ['OK', 'approved', 'owner', '1 of 1'], // a task, with the passkey that was lost
        ['OK', 'approved', 'owner', '1 of 1'], // one part, with the new one
        ['OK', 'approved', 'owner', '1 of 1'], // the other part
        ['OK', 'approved', 'owner', '1 of 1'], // a continuous grant
        ['OK', 'approved', 'owner', '1 of 1'], // which continues after it lapsed
        ['OK', 'approved', 'owner', '1 of 1'], // a task
        ['OK', 'approved', 'owner', '1 of 1'], // its step-up
        ['OK', 'approved', 'owner', '1 of 1'], // a second person
        ['OK', 'approved', 'owner', '1 of 1'], // two are needed now
        ['OK', 'endorsed', 'owner', '1 of 2'], // so of a step-up, too
        ['OK', 'approved', 'eve,owner', '2 of 2'],
      ])
    })

    it('accepts a step-up that is in the log before its grant’s approval: they are in two partitions (V3)', async () => {
      const ofStepUp = (bytes: Uint8Array) => read(bytes).partitionkey === read(entries[approval(stepUp)]).partitionkey
      const early = [...entries.filter(ofStepUp), ...entries.filter((bytes) => !ofStepUp(bytes))]
      expect(await verified(data, early)).toMatchObject({ code: 0, bad: [] })
    })

    const stepUp = 6
    const byTwo = 9
    it.each<[name: string, detail: RegExp, lie: () => Uint8Array[]]>([
      ['a step-up by one of two', /1 of 2 people/, () => lie(byTwo, ({ assertions }) => void assertions.pop())],
      [
        'a step-up with the signature of another one',
        /challenge was not expected/,
        () => lie(byTwo, (said) => Object.assign(said, { assertions: dataOf(entries, approval(stepUp)).assertions })),
      ],
      [
        'a step-up whose action is another',
        /challenge was not expected/,
        () =>
          lie(stepUp, (said) => {
            said.statement.action_digest = jcsHash('another')
            said.statement_hash = jcsHash(said.statement)
          }),
      ],
      [
        'a part with the statement of the other part',
        /the statement names another request/,
        () =>
          lie(1, (said) =>
            Object.assign(said, dataOf(entries, approval(2)), { request_id: dataOf(entries, approval(1)).request_id }),
          ),
      ],
      [
        'a grant that need not be attested as often as was signed',
        /challenge was not expected/,
        () =>
          lie(3, (said) => {
            said.statement.continuous = { ...fresh, reattest_seconds: 3600 }
            said.statement_hash = jcsHash(said.statement)
          }),
      ],
      [
        'a genesis without one of its rules',
        /the genesis is not whole/,
        () => entries.filter((_, index) => index !== placesOf(entries, 'rule.registered')[0]),
      ],
      [
        'a recovery that was never announced',
        /there is no such recovery/,
        () => entries.filter((_, index) => index !== placesOf(entries, 'recovery.registered')[0]),
      ],
      [
        'a recovery that was announced an hour ago',
        /not a day old/,
        () =>
          told({ data, entries }, 'issuer', placesOf(entries, 'recovery.registered')[0], (event) => {
            event.time = new Date(Date.now() - 3600_000).toISOString()
          }),
      ],
      [
        'an approval by the passkey that was lost, after it was replaced',
        /passkey|credential|signer/,
        () =>
          lie(
            1,
            ({ assertions }) =>
              void Object.assign(assertions[0] ?? {}, {
                credential_id: dataOf(entries, approval(0)).assertions[0]?.credential_id,
              }),
          ),
      ],
    ])('sees %s (V3, V10)', async (_, detail, changed) => {
      const { code, bad } = await verified(data, changed())
      expect(bad).toContainEqual(expect.stringMatching(detail))
      expect(code).toBe(1)
    })
  },
)

const dataOf = (entries: readonly Uint8Array[], at: number) =>
  read(entries[at]).data as never as Said & { request_id: string }

/** Works on a busy machine too: a decision that takes longer than its second is a denial. */
const eventually: typeof within = (what, find) => within(what, find, 60_000)

/**
 * A system whose only person loses the passkey and comes back a day later, and then approves everything that can be
 * requested.
 */
async function everyKind(data: string): Promise<Uint8Array[]> {
  const ports = { port: await freePort(), invoicesPort: await freePort() }
  const key = generateKey('invitation')
  {
    const system = await startSystem({ data, ...ports, ...asking, clock: yesterday })
    await using scene = await Scene.of(system)
    const lost = await enrolApprover(system)
    await lost.approve(await scene.asked())
    await announce(scene, key)
  }
  let ahead = 0
  const clock: Clock = { ...systemClock, now: () => systemClock.now() + ahead }
  const system = await startSystem({ data, ...ports, clock })
  await using scene = await Scene.of(system)
  const owner = await recoverApprover(system, { id: 'rcv-lost', key })
  await eventually('the passkey is the new one', () => scene.ledger.registry.record('approver', 'owner')?.version === 2)

  await inParts(scene, owner)
  /** Earlier heads are too old then: the active instance must be heard again. */
  const pass = async (seconds: number) => {
    ahead += seconds * 1000
    await pause(2000)
    await eventually('state is fresh', () => scene.pdp.projection.fresh())
  }
  await whileProven(scene, owner, pass)

  const requestId = await scene.asked()
  const { grant_id: grantId = '' } = await owner.approve(requestId)
  await owner.approve(await stepUpFor(scene, grantId, 'INV-1'))
  await goesOn(scene, grantId, 'INV-1')

  const { requestId: invitation, invited: eve } = await owner.invite({
    approver_id: 'eve',
    name: 'Eve',
    groups: [sample.group],
  })
  await owner.approve(invitation)
  await eventually('there are two', () => scene.ledger.registry.get('approver', 'eve'))
  await eve.signIn()
  await byTwoFromNowOn(scene, owner)
  await pass(5) // the verifier lets a registry change take two seconds to reach every reader
  const asked = await stepUpFor(scene, grantId, 'INV-2')
  expect((await owner.approve(asked)).status).toBe('endorsed')
  expect(await adjust(scene, grantId, 'INV-2')).toMatchObject({ status: 403 }) // one of two does not count
  expect((await eve.approve(asked)).status).toBe('approved')
  await goesOn(scene, grantId, 'INV-2')
  expect(scene.invoices.ledger.effects.adjust).toBe(2)

  // Evidence reads each topic separately: until it has all of them, a grant may be there without its approval. Approval
  // reads 9 h back: after a day it does not know its predecessor, which the audit reports.
  const findings = async () => (await scene.audited()).findings.filter(({ rule }) => rule !== 'V15')
  await vi.waitFor(async () => expect(await findings()).toEqual([]), 60_000)
  return (await readLog(paths(data).log, system.trust.log.vkey)).entries
}

/** One request that rules split: each part is approved separately, and makes a grant of its own. */
async function inParts(scene: Scene, owner: Approver): Promise<void> {
  const agent = scene.agent()
  const authority = { ...sampleAuthority, permissions: [reading, adjusting, deleting] }
  const { requestId } = await agent.request({ authority, mode: 'window', expiresInSeconds: 3600 })
  const parts = await eventually('there are parts', async () => {
    const { requests } = await owner.state()
    return requests.length === 2 ? requests.map(({ id }) => id) : undefined
  })
  for (const part of parts) await owner.approve(part)
  const { items = [] } = await agent.waitForDecision(requestId)
  expect(new Set(items.map(({ grantId }) => grantId)).size).toBe(2)
  const grantOf = (name: string) => items.find(({ resource }) => resource.id === tool(name).id)?.grantId ?? ''
  const reads = async (name: string) => (await scene.call(agent, grantOf(name))).status
  expect([await reads('read'), await reads('delete')]).toEqual([200, 403])
}

/** A continuous grant. Once it lapses, its next action waits for a person, and then it continues under the same grant. */
async function whileProven(scene: Scene, owner: Approver, pass: (seconds: number) => Promise<void>): Promise<void> {
  const agent = scene.agent('forecaster')
  const authority = { ...sampleAuthority, permissions: [reading] }
  const asked = await agent.request({ authority, mode: 'continuous', expiresInSeconds: 3600 })
  const { grant_id: grantId = '' } = await owner.approve(asked.requestId)
  const call = { name: 'read', properties: { invoice: 'INV-1' } }
  const done = async () => (await scene.call(agent, grantId, call.name, call.properties)).status === 200
  await eventually('it begins', done)
  await scene.invoices.delivered()
  await pass(fresh.reattest_seconds + 60)
  await owner.approve(await waits(scene, agent, grantId, call))
  await eventually('it goes on', done)
  expect(await done()).toBe(true)
}

const change = (invoice: string) => ({ name: 'adjust', properties: { invoice, amount: '120.00', currency: 'EUR' } })
const adjust = (scene: Scene, grantId: string, invoice: string) =>
  scene.call(scene.agent(), grantId, 'adjust', change(invoice).properties)
const stepUpFor = (scene: Scene, grantId: string, invoice: string) =>
  waits(scene, scene.agent(), grantId, change(invoice))

/** The agent is denied, and requests that one action. Returns the request. */
async function waits(
  scene: Scene,
  agent: Agent,
  grantId: string,
  { name, properties }: { name: string; properties: object },
): Promise<string> {
  const action = { action: 'tools/call', resource: tool(name) }
  const answering = await eventually('the action waits for a person', async () => {
    const denial = await denialOf(await scene.call(agent, grantId, name, properties), action)
    return denial?.reason === 'step_up_required' ? denial : undefined
  })
  const one = { name: action.action, resource: action.resource, properties: { ...properties } }
  const ask = { authority: sampleAuthority, mode: 'per_action' as const, expiresInSeconds: 600, action: one }
  return (await agent.request({ ...ask, grantId, answering })).requestId
}

/** Once the decision point has read it. */
const goesOn = (scene: Scene, grantId: string, invoice: string) =>
  eventually('it goes on', async () => (await adjust(scene, grantId, invoice)).status === 200)

async function byTwoFromNowOn(scene: Scene, owner: Approver): Promise<void> {
  const { registry } = scene.ledger
  const tasks = registry.get('rule', 'tasks')
  if (tasks === undefined) throw new Error('no rule')
  const value = { ...tasks, approvers: { ...tasks.approvers, quorum: 2 } }
  const payload = { proposer: 'operator', entities: [{ type: 'rule', id: 'tasks', value }] }
  const url = '/operator/registry/changes'
  const proposed = await scene.system.host.operator.inject({ method: 'POST', url, payload })
  await owner.approve(proposed.json().request_id)
  await eventually('it takes two', () => registry.get('rule', 'tasks')?.approvers.quorum === 2)
}

/** Does what `bailiwick recover` does with the root key. */
async function announce({ system, ledger }: Scene, key: SigningKey<'invitation'>): Promise<void> {
  const { data, trust, host } = system
  const value = {
    id: 'rcv-lost',
    jwk: key.publicJwk,
    approver_id: 'owner',
    name: 'Olivia Owner',
    groups: [sample.group],
  }
  const root = readKeyFile(paths(data).keys('root'), 'root', 'root')
  const named = { entity_type: 'recovery' as const, entity_id: value.id, version: 1, after: jcsHash(value) }
  const payload = { value, jws: signGenesisStatement({ installation: trust.installation, ...named }, root) }
  await host.operator.inject({ method: 'POST', url: '/operator/recoveries', payload })
  // A busy machine may have answered before it saw its own event.
  await eventually('it is announced', () => ledger.registry.record('recovery', value.id))
}
