import { randomBytes } from 'node:crypto'
import { appendFileSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildRegistryStatement, recoveryDelayMs, statementChallenge } from '@bailiwick/approval-statement'
import { run } from '@bailiwick/cli'
import type { Approver as Person, Recovery, RegistryStatement, Rule } from '@bailiwick/contracts'
import {
  generateKey,
  jcsHash,
  parseTrust,
  readKeyFile,
  type SigningKey,
  signGenesisStatement,
  signInvitation,
  signTrust,
} from '@bailiwick/credentials'
import { paths } from '@bailiwick/installation'
import { type Clock, systemClock, systemRandom } from '@bailiwick/kit'
import { sample } from '@bailiwick/standalone/sample'
import { enrolApprover, freePort, recoverApprover, startSystem } from '@bailiwick/testkit'
import { expect, inject, it } from 'vitest'
import { eventually, projectAdapters, Scene } from './scene.ts'

// Governance cannot be switched off quietly. A change without people's approval has no effect, and if it reached the
// bus it is a finding.

const owners = [sample.group]
/** The folder in which an installation is started again and again. */
const placeOn = async ({ adapters }: Awaited<ReturnType<typeof projectAdapters>>) => ({
  ...{ port: await freePort(), invoicesPort: await freePort() },
  ...(adapters && { adapters }),
})
const propose = async (scene: Scene, ...change: Parameters<Scene['propose']>) => (await scene.propose(...change)).body
const announce = async (scene: Scene, value: Recovery, jws: string) =>
  (await scene.operate<{ usable_from: string; code?: string }>('recoveries', { value, jws })).body

const lax = (scene: Scene): Rule => ({ ...(scene.ledger.registry.get('rule', 'tasks') as Rule), match: {}, order: 1 })

/** The registry as every reader has it. */
const registryOf = async (scene: Scene) => JSON.parse(await scene.counted())[0]

/** Writes to registry.v1 with the issuer's own key, as an attacker would. Resolves once evidence has reported it. */
async function forgeChange(
  scene: Scene,
  verb: 'registered' | 'changed' | 'retired',
  [type, id]: [string, string],
  more: { value?: object; version?: number; authorization: object; time?: number },
): Promise<void> {
  const { value, version = (scene.ledger.registry.record(type as 'rule', id)?.version ?? 0) + 1, authorization } = more
  const put = value === undefined ? {} : { value, hash: jcsHash(value) }
  const position = await scene.forge(
    'registry.v1',
    {
      type: `${type}.${verb}`,
      subject: `${type} ${id}`,
      version,
      data: { entity: { type, id }, ...put, authorization },
      ...(more.time === undefined ? {} : { time: new Date(more.time).toISOString() }),
    },
    scene.stolenKey('issuer'),
  )
  await scene.parked([position])
}

/** The only findings that the audit may have about an attacker's event: it broke a chain, and no person had authorised it. */
async function onlyTheForgeries(scene: Scene, count: number): Promise<void> {
  const { findings } = await scene.audited()
  const others = findings.filter(({ rule }) => rule !== 'V15')
  expect(others.map(({ rule }) => rule)).toEqual(Array.from({ length: count }, () => 'registry'))
}

it('a registry file, a genesis and an operator’s word change nothing that people did not approve (V3)', async () => {
  await using on = await projectAdapters()
  const ports = await placeOn(on)
  const home = mkdtempSync(join(tmpdir(), 'abuse-registry-'))
  let registry: unknown
  try {
    {
      await using scene = await Scene.open({ data: home, ...ports })
      registry = await registryOf(scene)
      const proposed = await propose(scene, 'rule', 'tasks', lax(scene))
      expect(proposed.request_id).toMatch(/^req_/)
      for (const value of [{ ...lax(scene), id: 'other' }, 'x']) await propose(scene, 'rule', 'tasks', value)
      const recovery = aRecovery(generateKey('invitation'))
      expect(await propose(scene, 'recovery', recovery.id, recovery)).toMatchObject({ code: 'registry_change_refused' })
      const jws = rootSigned(scene, recovery, generateKey('root'))
      expect((await announce(scene, recovery, jws)).code).toMatch(/^signature|^key/)
      await scene.approver.deny(proposed.request_id)
      expect(await registryOf(scene)).toEqual(registry)
    }
    const genesis = readFileSync(paths(home).genesis, 'utf8')
    writeFileSync(
      paths(home).genesis,
      genesis.replaceAll('"quorum": 1', '"quorum": 2').replace(/"id": "tasks"/, '"id": "more"'),
    )
    await expect(startSystem({ data: home, ...ports })).rejects.toMatchObject({ code: 'trust_invalid' })
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
})

it('a trust anchor edited to need one person, or to let another page ask for passkeys, starts nothing (V3)', async () => {
  await using on = await projectAdapters()
  const ports = await placeOn(on)
  const data = mkdtempSync(join(tmpdir(), 'abuse-anchor-'))
  try {
    {
      await using scene = await Scene.open({ data, ...ports, singleOperator: false })
      expect(scene.system.trust.single_operator).toBe(false)
    }
    const honest = readFileSync(paths(data).trust, 'utf8')
    const trust = parseTrust(Buffer.from(honest))
    const lax = { ...trust, single_operator: true }
    const { jws: _, ...facts } = lax
    const wide = { ...trust, origins: [...trust.origins, 'http://evil.localhost:8420'] }
    for (const edited of [lax, signTrust(facts, generateKey('root')), wide]) {
      writeFileSync(paths(data).trust, JSON.stringify(edited))
      await expect(startSystem({ data, ...ports })).rejects.toMatchObject({ code: 'trust_invalid' })
    }
    writeFileSync(paths(data).trust, honest)
    await using scene = (await Scene.reopen({ data, ...ports })) as Scene
    expect((await scene.audited()).findings).toEqual([])
  } finally {
    rmSync(data, { recursive: true, force: true })
  }
})

it('a policy file edited on disk does not become active: it decides nothing, and is a finding (V3, V13)', async () => {
  await using scene = await Scene.open()
  const active = scene.ledger.registry.policySet?.hash ?? ''
  const folder = paths(scene.system.data).policies(active)
  const [file = ''] = readdirSync(folder).filter((name) => name.endsWith('.cedar'))
  appendFileSync(join(folder, file), '\npermit(principal, action, resource);\n')
  const found = await eventually(
    'evidence reports the file',
    async () => (await scene.events('findings.v1')).find(({ type }) => type === 'policy-files.changed'),
    30_000,
  )
  expect(found.data).toMatchObject({ policy_set: active })
  expect(scene.ledger.registry.policySet?.hash).toBe(active)
  await scene.stillWorks() // under the set that people approved
  expect((await scene.audited()).findings).toEqual([])
})

it('proposed policies decide nothing before an approver signs them, and everything afterwards (V3)', async () => {
  await using scene = await Scene.open()
  const policySet = () => scene.ledger.registry.policySet?.hash ?? ''
  const active = policySet()
  const directory = mkdtempSync(join(tmpdir(), 'abuse-policies-'))
  try {
    cpSync(paths(scene.system.data).policies(active), directory, { recursive: true })
    writeFileSync(join(directory, 'freeze.cedar'), '@id("freeze") forbid (principal, action, resource);')
    const out: string[] = []
    const say = (line: string) => void out.push(line)
    const io = { out: say, err: () => undefined, env: {}, clock: systemClock, random: systemRandom }
    expect(await run(['policy', 'propose', directory, '--json', '--data', scene.system.data], io)).toBe(0)
    const { request_id, policy_set } = JSON.parse(out.join('\n')) as { request_id: string; policy_set: string }
    expect(policySet()).toBe(active)
    await scene.stillWorks()
    expect(await scene.approver.approve(request_id)).toMatchObject({ status: 'approved' })
    await eventually('the set is active', () => policySet() === policy_set || undefined)
    const agent = scene.agent()
    const { grantId } = await scene.granted(agent)
    expect(await scene.tryCall(agent, grantId)).toMatch(/policy/)
    expect((await scene.audited()).findings).toEqual([])
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})

it('a stolen issuer’s change without signatures, or with signatures for something else, is a finding (V3)', async () => {
  await using scene = await Scene.open()
  const before = await registryOf(scene)
  const stood = await scene.events('registry.v1')
  const authorization = (kind: string) =>
    (stood as unknown as { data: { authorization: { kind: string } } }[]).find(
      (e) => e.data.authorization.kind === kind,
    )?.data.authorization as object
  const attempts = [authorization('root'), authorization('invitation')]
  for (const one of attempts)
    await forgeChange(scene, 'changed', ['rule', 'tasks'], { value: lax(scene), authorization: one })
  await forgeChange(scene, 'retired', ['rule', 'registry'], { authorization: authorization('root') })
  // An event out of turn is still reported as an attempt.
  await forgeChange(scene, 'changed', ['rule', 'tasks'], {
    value: lax(scene),
    version: 9,
    authorization: authorization('root'),
  })
  expect(await registryOf(scene)).toEqual(before)
  await scene.stillWorks()
  await onlyTheForgeries(scene, attempts.length + 2)
})

it('with two approvers enrolled, one alone changes nothing, even with a stolen issuer (V3)', async () => {
  await using scene = await Scene.open({ singleOperator: false })
  const { requestId, invited } = await scene.approver.invite({ approver_id: 'paul', name: 'Paul', groups: owners })
  expect(await scene.approver.approve(requestId)).toMatchObject({ status: 'approved' })
  await eventually('the second is enrolled', () => scene.ledger.registry.get('approver', 'paul'))
  await invited.signIn()
  const before = await registryOf(scene)
  const { request_id } = await propose(scene, 'rule', 'tasks', lax(scene), 'owner')
  expect(await scene.approver.approve(request_id)).toMatchObject({ status: 'endorsed' })
  const endorsed = (await scene.events('approvals.v1')).findLast(({ type }) => type === 'request.endorsed')
  const { statement, assertion } = (endorsed?.data ?? {}) as unknown as { statement: object; assertion: object }
  const authorization = { kind: 'approvers', statement, assertions: [assertion] }
  await forgeChange(scene, 'changed', ['rule', 'tasks'], { value: lax(scene), authorization })
  expect(await registryOf(scene)).toEqual(before)
  // Nor by a statement of the older version, for which one distinct name was once enough.
  const older = { ...(statement as RegistryStatement), v: 1 as const, proposer: 'operator' }
  const signed = { statement: older, assertions: [scene.approver.passkey.sign(statementChallenge(older))] }
  await forgeChange(scene, 'changed', ['rule', 'tasks'], {
    value: lax(scene),
    authorization: { kind: 'approvers', ...signed },
  })
  expect(await registryOf(scene)).toEqual(before)
  await onlyTheForgeries(scene, 2)
  // Only the other approver's answer was missing.
  expect(await invited.approve(request_id)).toMatchObject({ status: 'approved' })
  await eventually('the rule changed', () => scene.ledger.registry.get('rule', 'tasks')?.order === 1)
})

it('with one approver enrolled, a statement of the older version signed by one changes nothing (V3)', async () => {
  await using scene = await Scene.open({ singleOperator: false })
  const before = await registryOf(scene)
  const value = lax(scene)
  const { version = 0, hash = '' } = scene.ledger.registry.record('rule', 'tasks') ?? {}
  const facts = {
    installation: scene.system.trust.installation,
    change_id: `req_${'x'.repeat(43)}`,
    proposer: 'operator',
    entities: [{ type: 'rule' as const, id: 'tasks', version: version + 1, before: hash, after: jcsHash(value) }],
    not_after: new Date(Date.now() + 60_000).toISOString(),
    nonce: randomBytes(16).toString('base64url'),
    now: Date.now(),
  }
  const statement = { ...buildRegistryStatement(facts), v: 1 as const }
  const assertions = [scene.approver.passkey.sign(statementChallenge(statement))]
  await forgeChange(scene, 'changed', ['rule', 'tasks'], {
    value,
    authorization: { kind: 'approvers', statement, assertions },
  })
  expect(await registryOf(scene)).toEqual(before)
  await onlyTheForgeries(scene, 1)
})

it('the last approver cannot be removed, even if that person signs and a stolen issuer writes it (V3)', async () => {
  await using scene = await Scene.open()
  const before = await registryOf(scene)
  const refused = { code: 'registry_change_refused' }
  expect(await propose(scene, 'approver', 'owner', null, 'owner')).toMatchObject(refused)
  const { hash } = scene.ledger.registry.record('approver', 'owner') ?? {}
  const statement = buildRegistryStatement({
    installation: scene.system.trust.installation,
    change_id: `req_${'x'.repeat(43)}`,
    proposer: 'owner',
    entities: [{ type: 'approver', id: 'owner', version: 2, ...(hash === undefined ? {} : { before: hash }) }],
    not_after: new Date(Date.now() + 60_000).toISOString(),
    nonce: randomBytes(16).toString('base64url'),
    now: Date.now(),
  })
  const assertions = [scene.approver.passkey.sign(statementChallenge(statement))]
  await forgeChange(scene, 'retired', ['approver', 'owner'], {
    authorization: { kind: 'approvers', statement, assertions },
  })
  expect(await registryOf(scene)).toEqual(before)
  await scene.stillWorks()
  await onlyTheForgeries(scene, 1)
})

const aRecovery = (key: SigningKey<'invitation'>, id = 'rcv-1'): Recovery => ({
  ...{ id, jwk: key.publicJwk as Recovery['jwk'] },
  ...{ approver_id: 'owner', name: 'Olivia Owner', groups: owners },
})

function rootSigned(scene: Scene, value: Recovery, key?: SigningKey<'root'>): string {
  const { installation } = scene.system.trust
  const root = key ?? readKeyFile(paths(scene.system.data).keys('root'), 'root', 'root')
  const named = { entity_type: 'recovery', entity_id: value.id, version: 1, after: jcsHash(value) }
  return signGenesisStatement({ installation, ...named }, root)
}

/** An event that a thief of the recovery key and the issuer's key can write: the person again, with the thief's passkey. */
async function forgeRecovery(scene: Scene, id: string, key: SigningKey<'invitation'>, time?: number): Promise<void> {
  const owner = scene.ledger.registry.get('approver', 'owner') as Person
  const [own] = owner.credentials
  const stolen = { credential_id: 'dGhpZWY', public_key: own?.public_key ?? '' }
  const { installation } = scene.system.trust
  const person = { approver_id: 'owner', name: owner.name, groups: owner.groups }
  const jws = signInvitation({ installation, ...person, ...stolen }, key)
  const value = { ...owner, credentials: [{ ...stolen, sign_count: 0, registered_at: new Date().toISOString() }] }
  const authorization = { kind: 'recovery', recovery: id, jws }
  await forgeChange(scene, 'changed', ['approver', 'owner'], {
    value,
    authorization,
    ...(time === undefined ? {} : { time }),
  })
}

it('a recovery takes effect only after 24 h, even if a stolen issuer writes another time (V3)', async () => {
  await using scene = await Scene.open()
  const key = generateKey('invitation')
  const recovery = aRecovery(key)
  const taken = await announce(scene, recovery, rootSigned(scene, recovery))
  expect(Date.parse(taken.usable_from) - Date.now()).toBeGreaterThan(recoveryDelayMs - 60_000)
  await expect(recoverApprover(scene.system, { id: recovery.id, key })).rejects.toMatchObject({
    code: 'invitation_invalid',
  })
  await forgeRecovery(scene, recovery.id, key)
  await forgeRecovery(scene, recovery.id, key, Date.now() + recoveryDelayMs + 60_000)
  // A recovery dated the day before yesterday also waits: its delay runs from the moment at which it could be seen.
  const old = aRecovery(key, 'rcv-2')
  const authorization = { kind: 'root', jws: rootSigned(scene, old) }
  const data = { entity: { type: 'recovery', id: old.id }, value: old, hash: jcsHash(old), authorization }
  const event = { type: 'recovery.registered', subject: `recovery ${old.id}`, version: 1, data }
  const time = new Date(Date.now() - 2 * recoveryDelayMs).toISOString()
  await scene.forge('registry.v1', { ...event, time }, scene.stolenKey('issuer'))
  await forgeRecovery(scene, old.id, key)
  expect(scene.ledger.registry.record('approver', 'owner')?.version).toBe(1)
  await scene.stillWorks()
  await onlyTheForgeries(scene, 3)
})

// On Kafka the day runs by the broker's clock, which no client can set back.
if (inject('realParts') === undefined)
  it('a recovery lets one person in, once (V3, V10)', async () => {
    const home = mkdtempSync(join(tmpdir(), 'abuse-recovery-'))
    const ports = { port: await freePort(), invoicesPort: await freePort() }
    const key = generateKey('invitation')
    const recovery = aRecovery(key)
    const yesterday: Clock = { ...systemClock, now: () => systemClock.now() - recoveryDelayMs - 60_000 }
    try {
      {
        await using system = await startSystem({ data: home, ...ports, clock: yesterday })
        await enrolApprover(system)
        const payload = { value: recovery, jws: rootSigned({ system } as Scene, recovery) }
        const url = '/operator/recoveries'
        expect((await system.host.operator.inject({ method: 'POST', url, payload })).statusCode).toBe(200)
      }
      await using scene = (await Scene.reopen({ data: home, ...ports })) as Scene
      const again = await recoverApprover(scene.system, { id: recovery.id, key })
      await eventually(
        'the passkey is the new one',
        () => scene.ledger.registry.record('approver', 'owner')?.version === 2,
      )
      expect((await again.state()).changes).toEqual([])
      await expect(recoverApprover(scene.system, { id: recovery.id, key })).rejects.toMatchObject({
        code: 'invitation_invalid',
      })
      await forgeRecovery(scene, recovery.id, key)
      expect(scene.ledger.registry.record('approver', 'owner')?.version).toBe(2)
      await onlyTheForgeries(scene, 1)
    } finally {
      rmSync(home, { recursive: true, force: true })
    }
  })
