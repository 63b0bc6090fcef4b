import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { run } from '@bailiwick/cli'
import { generateKey, sha256, signEvent } from '@bailiwick/credentials'
import { paths } from '@bailiwick/installation'
import { systemClock, systemRandom } from '@bailiwick/kit'
import type { Rule } from '@bailiwick/verify/audit'
import { describe, expect, it } from 'vitest'
import { audit } from '../audit.ts'
import { allowed, findingsOf, move } from './forge.ts'
import { type GoodLog, goodLog } from './good-log.ts'

// The oracle is an assertion of every system test. These tests show that it holds, and that it fails for anything a log
// could do. lies.test.ts has what a service could write.

/** The leaf of a draft. */
const at = (log: GoodLog, name: string) => [...log.drafts.keys()].indexOf(name)

it('finds nothing wrong with a good log, and has seen all of it', async () => {
  using log = await goodLog()
  log.write()
  const { ok, leaves, findings, counted, void: lost } = await audit(log.at)
  expect({ ok, findings, lost }).toEqual({ ok: true, findings: [], lost: 1 })
  expect(leaves).toBe(log.drafts.size)
  expect(counted).toMatchObject({ 'grant.created': 1, 'credential.issued': 1, 'decision.allowed': 5 })
  expect(counted).toMatchObject({ 'outcome.reported': 3, 'revocation.declared': 1, 'approver.registered': 1 })
})

it('treats a batch that lost its place to another instance as void, not as a fault (V9)', async () => {
  using log = await goodLog()
  const idOf = (name: string) => `evt_${String(at(log, name)).padStart(20, '0')}`
  log.allow('lost with it', 'task', 8, '500')
  log.allow('lost too', 'task', 9, '500')
  move(log, 'lost with it', 'taken back')
  move(log, 'lost too', 'taken back')
  allowed(log, 'lost race').data.after = idOf('not adjusted')
  allowed(log, 'lost with it').data.after = idOf('lost race')
  allowed(log, 'lost too').data.after = idOf('lost with it')
  log.write()
  expect(await audit(log.at)).toMatchObject({ findings: [], void: 3 })
  const leaves = log.leaves()
  leaves.splice(at(log, 'lost with it'), 1)
  expect((await findingsOf(log, leaves)).map(({ rule }) => rule).sort()).toEqual(['V15', 'version'])
})

it('sees no gap in what a halted service finished after its succession, and reports it if omitted (V15)', async () => {
  using log = await goodLog()
  log.draft('expired').start = 1
  log.say(
    'late',
    'findings.v1',
    'gap.detected',
    '/issuer/start-1',
    log.draft<'findings.v1', 'gap.detected'>('finding').data,
  )
  log.draft('late').start = 1
  log.write()
  expect(await audit(log.at)).toMatchObject({ findings: [], void: 1 })
  const leaves = log.leaves()
  leaves.splice(at(log, 'task issued'), 1)
  expect((await findingsOf(log, leaves)).map(({ rule }) => rule)).toContain('V15')
})

it('counts no event that the state of a request, a grant or a decision refuses', async () => {
  using log = await goodLog()
  const received = log.draft<'approvals.v1', 'request.received'>('task received')
  const { data: approved } = log.draft<'approvals.v1', 'request.approved'>('task approved')
  const { data: intended } = log.draft<'grants.v1', 'credential.intended'>('task intended')
  const { data: issued } = log.draft<'grants.v1', 'credential.issued'>('task issued')
  const { data: read } = allowed(log, 'read')
  const { grant } = log.draft<'grants.v1', 'grant.created'>('task grant').data
  const [request, key] = [received.subject, grant.id]
  const once = { decision_id: read.decision_id, grant_id: key }
  const anew = { ...intended, credential_id: `crd_${'n'.repeat(20)}` }
  const say: GoodLog['say'] = (name, topic, type, subject, data, more) =>
    log.say(`refused ${name}`, topic, type, subject, data, more)
  say('received', 'approvals.v1', 'request.received', request, received.data, { version: 4 })
  say('approved', 'approvals.v1', 'request.approved', request, approved, { version: 4 })
  say('run out', 'approvals.v1', 'request.expired', request, { request_id: request }, { version: 4 })
  say('created', 'grants.v1', 'grant.created', key, { grant }, { version: 5 })
  say('resumed', 'grants.v1', 'grant.resumed', key, { grant }, { version: 5 })
  say('intended', 'grants.v1', 'credential.intended', 'crd', anew, { key, version: 5 })
  say('issued', 'grants.v1', 'credential.issued', 'crd', issued, { key, version: 5 })
  say(
    'call',
    'decisions.v1',
    'decision.allowed',
    'dec',
    { ...read, decision_id: `dec_${'n'.repeat(20)}`, proof_id: sha256('another proof') },
    { key, version: 11 },
  )
  say('back', 'decisions.v1', 'decision.abandoned', 'dec', { ...once, call_id: read.call_id }, { key, version: 11 })
  say('lost', 'decisions.v1', 'outcome.missing', 'dec', { ...once, due: read.outcome_due }, { key, version: 11 })
  log.write()
  expect(await audit(log.at)).toMatchObject({ findings: [], void: 11, counted: { 'decision.allowed': 5 } })
})

/** `bailiwick audit --json`. */
async function command(log: GoodLog, ...more: string[]) {
  const out: string[] = []
  const io = { out: (line: string) => void out.push(line), err: () => undefined, env: {} }
  const argv = ['audit', '--data', log.data, '--json', ...more]
  const code = await run(argv, { ...io, clock: systemClock, random: systemRandom })
  return { code, out: out.join('\n') }
}

it('ends with 1 as a command, and names the leaf, when something is wrong', async () => {
  using log = await goodLog()
  log.write()
  expect(await command(log)).toMatchObject({ code: 0, out: expect.stringContaining('"ok":true') })
  allowed(log, 'adjust').data.permission = 0
  log.write()
  expect(await command(log)).toMatchObject({ code: 1, out: expect.stringContaining('"rule":"V3"') })
})

it('reads a log at an address as from its folder', async () => {
  using log = await goodLog()
  log.write()
  const server = createServer(async ({ url = '' }, response) => {
    const bytes = await readFile(join(log.at.logDir, url)).catch(() => undefined)
    response.writeHead(bytes === undefined ? 404 : 200).end(bytes)
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  await using _closed = { [Symbol.asyncDispose]: async () => void server.close() }
  const { port } = server.address() as AddressInfo
  expect(await command(log, '--log', `http://127.0.0.1:${port}/`)).toEqual(await command(log))
})

/** What a stolen log could do: it has no service's key, but can sign any tree. */
const tampering: readonly [name: string, rule: Rule, tamper: (leaves: Uint8Array[], log: GoodLog) => void][] = [
  ['an event that was left out (V15)', 'V15', (leaves, log) => void leaves.splice(at(log, 'read'), 1)],
  [
    'the last event of a service that started again, left out (V15)',
    'V15',
    (leaves, log) => void leaves.splice(at(log, 'denied'), 1),
  ],
  [
    'two decisions of a tree in another order',
    'version',
    (leaves, log) => {
      const [a, b] = [at(log, 'read done'), at(log, 'adjust')]
      ;[leaves[a], leaves[b]] = [leaves[b] as Uint8Array, leaves[a] as Uint8Array]
    },
  ],
  ['an event twice (V2)', 'V2', (leaves, log) => void leaves.push(leaves[at(log, 'read')] as Uint8Array)],
  [
    'a flipped version (V12)',
    'V12',
    (leaves, log) => edit(leaves, at(log, 'adjust'), (text) => text.replace('"version":3', '"version":8')),
  ],
  [
    'a changed amount (V12)',
    'V12',
    (leaves, log) => edit(leaves, at(log, 'adjust'), (text) => text.replaceAll('400.00', '100.00')),
  ],
  [
    'an event by an uncertified key (V12)',
    'V12',
    (leaves, log) => {
      const n = at(log, 'read')
      const text = Buffer.from(leaves[n] as Uint8Array).toString()
      leaves[n] = signEvent(Buffer.from(`${text.slice(0, text.lastIndexOf(',"jws":'))}}`), generateKey('pdp-event'))
    },
  ],
  ['an entry that is not an event', 'leaf', (leaves) => void leaves.push(Buffer.from('{"specversion":"1.0"}'))],
]

function edit(leaves: Uint8Array[], n: number, change: (text: string) => string): void {
  const text = Buffer.from(leaves[n] as Uint8Array).toString()
  expect(change(text)).not.toBe(text)
  leaves[n] = Buffer.from(change(text))
}

describe('finds what a stolen log does', () => {
  it.each(tampering)('%s', async (_, rule, tamper) => {
    using log = await goodLog()
    const leaves = log.leaves()
    tamper(leaves, log)
    expect((await findingsOf(log, leaves)).map((finding) => finding.rule)).toContain(rule)
  })

  it('a changed byte of a file, and names the leaf (V14)', async () => {
    using log = await goodLog()
    log.write()
    const path = `tile/entries/000.p/${log.drafts.size}`
    const bytes = Buffer.from(readFileSync(join(log.at.logDir, path)))
    bytes[bytes.length - 200] = (bytes[bytes.length - 200] as number) ^ 1
    log.put(path, bytes)
    const { findings } = await audit(log.at)
    expect(findings).toContainEqual(expect.objectContaining({ rule: 'V14', leaf: log.drafts.size - 1 }))
  })

  it('a checkpoint that another key signed (V14)', async () => {
    using log = await goodLog()
    using other = await goodLog()
    log.write()
    other.write()
    log.put('checkpoint', readFileSync(join(paths(other.data).log, 'checkpoint')))
    expect((await audit(log.at)).findings).toEqual([expect.objectContaining({ rule: 'V14' })])
  })
})
