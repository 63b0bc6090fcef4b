import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { verifyRegistration } from '@bailiwick/approval-statement'
import type { Approver, Rule } from '@bailiwick/contracts'
import { jcsHash } from '@bailiwick/credentials'
import { paths } from '@bailiwick/installation'
import { sample } from '@bailiwick/standalone/sample'
import { type SoftwarePasskey, softwarePasskey } from '@bailiwick/testkit'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { eventually, Scene } from '../abuse/scene.ts'
import { writeLog } from '../audit/write-log.ts'
import { readLog } from '../audit.ts'
import { missingPrograms, pythonWithPackages, run, verifiers } from './programs.ts'
import { placesOf, read, type Said, told, verified } from './verified-log.ts'

const missing = missingPrograms().filter((program) => program.startsWith('python3'))

describe.skipIf(process.env.CI !== 'true' && missing.length > 0)('the independent check of every approval', () => {
  const data = mkdtempSync(join(tmpdir(), 'bailiwick-'))
  let python = ''
  let entries: Uint8Array[] = []
  beforeAll(async () => {
    python = await pythonWithPackages(verifiers)
    entries = await approvedLog(data)
  })
  afterAll(() => rmSync(data, { recursive: true, force: true }))

  const lie = (type: string, nth: number, change: (said: Said) => void) =>
    told({ data, entries }, 'approval', placesOf(entries, type)[nth], (event) => change(event.data as never))
  const approvals = () => placesOf(entries, 'request.approved').map((at) => read(entries[at]).data as never as Said)

  it('finds each of them signed by the right people, back to the trust anchor (V3)', async () => {
    const { code, lines, err } = await verified(data, entries)
    expect([code, err]).toEqual([0, expect.stringMatching(/: 6 good, 0 void; 0 faults \(one person suffices/)])
    const said = lines.map((line) => line.split('\t'))
    expect(said.map(([, verdict, what, , people, quorum]) => [verdict, what, people, quorum])).toEqual([
      ['OK', 'approved', 'owner', '1 of 1'],
      ['OK', 'approved', 'owner', '1 of 1'],
      ['OK', 'approved', 'owner', '1 of 1'],
      ['OK', 'approved', 'owner', '1 of 1'],
      ['OK', 'endorsed', 'owner', '1 of 2'],
      ['OK', 'approved', 'eve,owner', '2 of 2'],
    ])
  })

  it.each<[name: string, detail: RegExp, liar: () => Uint8Array[]]>([
    [
      'an assertion of another statement',
      /challenge was not expected/,
      () =>
        lie('request.approved', 1, (said) => {
          said.assertions = approvals()[0]?.assertions ?? []
        }),
    ],
    [
      'an assertion without user verification',
      /user was not verified/,
      () => lie('request.approved', 1, ({ assertions }) => withoutUserVerification(assertions[0])),
    ],
    [
      'the name of another approver on an assertion',
      /Could not verify authentication signature/,
      () =>
        lie('request.approved', 4, ({ assertions: [first, second] }) => {
          if (first && second) first.credential_id = second.credential_id
        }),
    ],
    [
      'one assertion for two',
      /\t1 of 2 people/,
      () => lie('request.approved', 4, ({ assertions }) => void assertions.pop()),
    ],
    [
      'one person twice',
      /\t1 of 2 people/,
      () => lie('request.approved', 4, ({ assertions: [first, second] }) => void Object.assign(second ?? {}, first)),
    ],
    [
      'an endorsement that was taken out of the log',
      /version 3 where 2 is next/,
      () => entries.filter((_, index) => index !== placesOf(entries, 'request.endorsed')[0]),
    ],
    [
      'a statement that was widened after it was signed',
      /hash is not that of the statement/,
      () =>
        lie('request.approved', 1, ({ statement }) => {
          statement.not_after = '2099-01-01T00:00:00.000Z'
        }),
    ],
    [
      'a widened statement whose hash fits again',
      /challenge was not expected/,
      () =>
        lie('request.approved', 1, (said) => {
          said.statement.nonce = randomBytes(16).toString('base64url')
          said.statement_hash = jcsHash(said.statement)
        }),
    ],
    [
      'an event written without a key',
      /signature_invalid/,
      () => entries.map((bytes, at) => (at === placesOf(entries, 'request.approved')[2] ? flipped(bytes) : bytes)),
    ],
  ])('sees %s (V3, V10)', async (_, detail, liar) => {
    const { code, bad } = await verified(data, liar())
    expect(bad).toContainEqual(expect.stringMatching(detail))
    expect(code).toBe(1)
  })

  it('accepts no log that its key did not sign, and no approver without a chain from the anchor (V14)', async () => {
    writeLog(data, entries)
    const elsewhere = mkdtempSync(join(tmpdir(), 'bailiwick-'))
    try {
      await using other = await Scene.open({ data: elsewhere })
      const [log, trust] = [paths(data).log, paths(other.system.data).trust]
      const { code, err } = await run(python, [join(verifiers, 'verify_approvals.py'), '--log', log, '--trust', trust])
      expect([code, err]).toEqual([2, expect.stringMatching(/log's key did not sign/)])
    } finally {
      rmSync(elsewhere, { recursive: true, force: true })
    }
    const withoutEve = entries.filter((bytes) => !(read(bytes).type === 'approver.registered' && isEve(bytes)))
    expect((await verified(data, withoutEve)).code).toBe(1)
  })
})

const isEve = (bytes: Uint8Array) => Buffer.from(bytes).includes('"id":"eve"')
const flipped = (bytes: Uint8Array) => Buffer.from(Buffer.from(bytes).toString().replace('"version":2', '"version":3'))

function withoutUserVerification(assertion: { authenticator_data: string } | undefined): void {
  const data = Buffer.from(assertion?.authenticator_data ?? '', 'base64url')
  data.writeUInt8(data.readUInt8(32) & ~0x04, 32)
  if (assertion) assertion.authenticator_data = data.toString('base64url')
}

/** The events of a system in which two tasks, then two changes of the registry, then a task by two people are approved. */
async function approvedLog(data: string): Promise<Uint8Array[]> {
  await using scene = await Scene.open({ data })
  await scene.granted()
  await scene.granted(scene.agent('forecaster'))
  const passkey = softwarePasskey({ rpId: 'localhost', origin: scene.url })
  const challenge = randomBytes(32)
  const made = await verifyRegistration({
    response: passkey.register(challenge),
    challenge: challenge.toString('base64url'),
    rpId: 'localhost',
    origins: [scene.url],
  })
  if (!made.ok) throw new Error(made.detail)
  const credentials = [{ ...made.passkey, registered_at: new Date().toISOString() }]
  await changed(scene, 'approver', { id: 'eve', name: 'Eve', groups: [sample.group], credentials })
  const rule = scene.ledger.registry.get('rule', 'tasks')
  if (rule === undefined) throw new Error('no rule')
  await changed(scene, 'rule', { ...rule, approvers: { ...rule.approvers, quorum: 2 } })
  const requestId = await scene.asked()
  const rendered = await scene.approver.approve(requestId)
  expect(rendered.status).toBe('endorsed')
  expect(await approveToo(scene, passkey, requestId)).toBe('approved')
  // Evidence reads each topic separately: until it has all of them, a grant may be there without its approval.
  await vi.waitFor(async () => expect((await scene.audited()).findings).toEqual([]), 60_000)
  return (await readLog(paths(data).log, scene.system.trust.log.vkey)).entries
}

async function changed(scene: Scene, type: 'approver' | 'rule', value: Approver | Rule): Promise<void> {
  const { registry } = scene.ledger
  const before = registry.record(type, value.id)?.version ?? 0
  const payload = { proposer: 'operator', entities: [{ type, id: value.id, value }] }
  const url = '/operator/registry/changes'
  const proposed = await scene.system.host.operator.inject({ method: 'POST', url, payload })
  await scene.approver.approve(proposed.json().request_id)
  await eventually('the registry changed', () => (registry.record(type, value.id)?.version ?? 0) > before || undefined)
}

/** A second person's browser signs the statement that the first one signed. */
async function approveToo({ url }: Scene, passkey: SoftwarePasskey, requestId: string): Promise<string> {
  let cookie = ''
  const post = async (path: string, body: object) => {
    const headers = { 'content-type': 'application/json', origin: url, cookie }
    const answer = await fetch(`${url}/console/api/${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
    cookie = answer.headers.getSetCookie()[0]?.split(';')[0] ?? cookie
    return (await answer.json()) as { challenge: string; statement_hash: string; status: string } & SignInOffer
  }
  const signed = (challenge: string) => passkey.sign(Buffer.from(challenge, 'base64url'))
  const { sign_in_id, options } = await post('session/options', {})
  await post('session', { sign_in_id, assertion: signed(options.challenge) })
  const { challenge, statement_hash } = await post(`requests/${requestId}/statement`, {})
  const answer = await post(`requests/${requestId}/approve`, { statement_hash, assertion: signed(challenge) })
  return answer.status
}

interface SignInOffer {
  sign_in_id: string
  options: { challenge: string }
}
