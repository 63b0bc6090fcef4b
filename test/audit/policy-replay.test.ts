import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '@bailiwick/cli'
import { type PolicyFiles, paths, policySetOf, readPolicyFiles, storePolicyFiles } from '@bailiwick/installation'
import { newId, systemClock, systemRandom } from '@bailiwick/kit'
import { sample } from '@bailiwick/standalone/sample'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { allowed } from './forge.ts'
import { GoodLog } from './good-log.ts'

const shipped = readPolicyFiles(join(import.meta.dirname, '../../policies'))
const plus = (text: string, from: PolicyFiles = shipped): PolicyFiles =>
  new Map([...from, ['mine.cedar', Buffer.from(text)]])

let log: GoodLog
let folder: string
beforeEach(async () => {
  log = new GoodLog()
  folder = mkdtempSync(join(tmpdir(), 'policy-replay-test-'))
  await log.begin()
  log.later(60_000) // the registry's state is old enough that every decision knows it
  log.grant('task')
})
afterEach(() => {
  log[Symbol.dispose]()
  rmSync(folder, { recursive: true, force: true })
})

/** Decided by the shipped set, whose files are here. */
function decidedByShipped(): string {
  const { hash } = policySetOf(shipped)
  storePolicyFiles(paths(log.data).policies(hash), shipped)
  return hash
}

/** An ALLOW as a decision point records it. */
function allow(name: string, version: number, change: Partial<ReturnType<typeof allowed>['data']> = {}): string {
  log.allow(name, 'task', version)
  const draft = allowed(log, name)
  const decision_id = newId('dec', draft.at, systemRandom)
  Object.assign(draft.data, { decision_id, policies: ['granted'], policy_set: decidedByShipped(), ...change })
  draft.subject = decision_id
  return decision_id
}

function deny(name: string, reason: string, policies: string[], tool = 'read'): string {
  const { grant } = log.draft<'grants.v1', 'grant.created'>('task grant').data
  log.later(100)
  const decision_id = newId('dec', Date.parse(log.iso()), systemRandom)
  const resource = { type: 'tool', id: `${sample.toolServer}/${tool}` }
  const data = {
    decision_id,
    reason,
    actor: { agent: grant.agent, grant_id: grant.id, credential_id: `crd_${'task'.padEnd(20, '0')}` },
    action: { name: 'tools/call', resource, action_digest: 'A'.repeat(43) },
    policy_set: decidedByShipped(),
    policies,
    requestable: false,
  }
  log.say(name, 'decisions.v1', 'decision.denied', decision_id, data, { key: grant.id })
  return decision_id
}

async function bailiwick(...argv: string[]) {
  const out: string[] = []
  const err: string[] = []
  const io = {
    out: (line: string) => out.push(line),
    err: (line: string) => err.push(line),
    env: {},
    clock: systemClock,
    random: systemRandom,
  }
  const code = await run([...argv, '--data', log.data], io)
  return { code, out, err }
}

interface Said {
  same: number
  denied: number
  allowed: number
  untold: number
  decisions: number
  byPolicies: number
  differences: { kind: string; decision_id: string; policies: string[]; why: string }[]
}
function directoryOf(files: PolicyFiles): string {
  const directory = mkdtempSync(join(folder, 'set-'))
  storePolicyFiles(directory, files)
  return directory
}
async function replay(files: PolicyFiles, ...more: string[]): Promise<Said & { code: number; err: string[] }> {
  const { code, out, err } = await bailiwick('policy', 'replay', directoryOf(files), '--json', ...more)
  return { code, err, ...(JSON.parse(out.join('')) as Said) }
}

it('a set that decides the same changes nothing: unchanged policies repeat their decisions', async () => {
  allow('send', 1, { labels: ['external_send'] }) // no-exfiltration reads the history, which is not recorded
  allow('read', 2)
  deny('refused', 'policy_denied', ['no-exfiltration'])
  deny('spent', 'budget_exhausted', [])
  log.write()
  expect(await replay(shipped)).toMatchObject({
    code: 0,
    decisions: 4,
    byPolicies: 3,
    same: 3,
    differences: [],
    err: [],
  })
})

it('says which calls would be denied, and by which policy', async () => {
  const id = allow('read', 1)
  allow('send', 2, { labels: ['external_send'] })
  log.write()
  const rule =
    '@id("no-reads") forbid (principal, action, resource) when { !resource.labels.contains("external_send") };'
  expect(await replay(plus(rule))).toMatchObject({
    code: 1,
    same: 1,
    denied: 1,
    differences: [{ kind: 'would_be_denied', decision_id: id, policies: ['no-reads'], why: 'by no-reads' }],
  })
})

it('says which calls the policies would allow, and which policy denied them', async () => {
  const id = deny('refused', 'policy_denied', ['no-exfiltration'])
  log.write()
  const starter = Buffer.from(shipped.get('starter.cedar') ?? '').toString()
  const without = starter.slice(0, starter.indexOf('// The lethal trifecta'))
  expect(await replay(new Map([...shipped, ['starter.cedar', Buffer.from(without)]]))).toMatchObject({
    code: 1,
    allowed: 1,
    differences: [{ kind: 'would_be_allowed', decision_id: id, why: 'was denied: by no-exfiltration' }],
  })
})

it.each([
  ['the history', 'context.history.agent.calls > 3', 'context.history'],
  ['undescribed parts of the proof of a denial', 'context.proof == "point_asserted"', 'context.proof'],
])('never claims anything unknown: %s', async (_, condition, needs) => {
  allow('read', 1)
  deny('refused', 'policy_denied', ['no-exfiltration'])
  log.write()
  const said = await replay(
    plus(
      `@id("new") permit (principal, action, resource) when { ${condition} };`,
      new Map([['schema.cedarschema', shipped.get('schema.cedarschema') ?? new Uint8Array()]]),
    ),
  )
  expect(said).toMatchObject({ code: 1, allowed: 0 })
  const open = said.differences.filter(({ kind }) => kind === 'cannot_be_told')
  expect(open.map(({ why }) => why)).toContain(`needs ${needs}`)
})

it('does not accept other files in place of the set that decided', async () => {
  allow('send', 1, { labels: ['external_send'] })
  const { hash } = policySetOf(shipped)
  writeFileSync(join(paths(log.data).policies(hash), 'least-privilege.cedar'), '')
  log.write()
  expect(await replay(shipped)).toMatchObject({
    code: 1,
    untold: 1,
    differences: [{ why: 'needs context.history.agent, context.history.owner' }],
  })
})

it('knows the history of a task before each of its ALLOWs', async () => {
  const ids = [1, 2, 3, 4].map((version) => {
    log.later(10_000)
    return allow(`call ${version}`, version, version === 2 ? { labels: ['reads_untrusted'] } : {})
  })
  log.write()
  const differing = async (condition: string) => {
    const { differences } = await replay(plus(`@id("new") forbid (principal, action, resource) when { ${condition} };`))
    return differences.map(({ kind, decision_id, why }) => [ids.indexOf(decision_id), kind, why])
  }
  const denied = (...which: number[]) => which.map((n) => [n, 'would_be_denied', 'by new'])
  expect(await differing('context.history.task.calls > 1')).toEqual(denied(2, 3))
  expect(await differing('context.history.task.labels.contains("reads_untrusted")')).toEqual(denied(2, 3))
  expect(await differing('context.history.task.count.reads_untrusted == 0')).toEqual(denied(0, 1))
  const last = 'context.history.task.last has reads_untrusted && context.history.task.last.reads_untrusted'
  expect(await differing(`${last} > 15`)).toEqual(denied(3))
  // Denials are in no order with it, and for other tasks the time of reading is unknown.
  const open = (what: string) => [0, 1, 2, 3].map((n) => [n, 'cannot_be_told', `needs context.history.${what}`])
  expect(await differing('context.history.task.denials > 0')).toEqual(open('task.denials'))
  expect(await differing('context.history.agent.calls > 0')).toEqual(open('agent'))
})

it('knows the registry only where it did not change meanwhile', async () => {
  const agent = log.draft<'registry.v1', 'agent.registered'>(`agent ${log.agent.slice(0, log.agent.lastIndexOf('/'))}`)
  allow('read', 1)
  agent.at = allowed(log, 'read').at - 5000
  log.write()
  const said = await replay(
    plus('@id("x") forbid (principal, action, resource) when { principal.labels.contains("kept") };'),
  )
  expect(said).toMatchObject({
    untold: 1,
    differences: [{ why: expect.stringContaining('what the registry had of spiffe://') }],
  })
})

it('can be limited to a task or a day', async () => {
  allow('read', 1)
  log.later(24 * 3600 * 1000)
  deny('refused', 'policy_denied', [])
  log.write()
  const day = new Date(allowed(log, 'read').at).toISOString().slice(0, 10)
  expect(await replay(shipped, '--day', day)).toMatchObject({ decisions: 1 })
  expect(await replay(shipped, '--day', '1999-01-01')).toMatchObject({ decisions: 0 })
  const { actor } = allowed(log, 'read').data
  expect(await replay(shipped, '--task', actor.grant_id)).toMatchObject({ decisions: 2 })
  expect(await replay(shipped, '--task', actor.task)).toMatchObject({ decisions: 1 })
  // A result of "no change" over no decisions would be misleading.
  for (const [option, value] of [
    ['--day', 'today'],
    ['--day', '2026-02-30'],
    ['--task', 'no-such-task'],
  ] as const) {
    const { code, err } = await bailiwick('policy', 'replay', directoryOf(shipped), option, value)
    expect([value, code, err.join('\n')]).toEqual([value, 2, expect.stringContaining(option)])
  }
})

it('compares two sets over the same decisions', async () => {
  const id = allow('read', 1)
  log.write()
  const [first, second] = [shipped, plus('@id("none") forbid (principal, action, resource);')].map(directoryOf)
  const { code, out } = await bailiwick('policy', 'diff', first ?? '', second ?? '')
  expect(code).toBe(1)
  expect(out[0]).toMatch(
    new RegExp(`^would be denied  .*Z  ${id}  spiffe://.*  tools/call tool ${sample.toolServer}/read  by none$`),
  )
  expect(out.at(-1)).toBe(
    '1 of 1 decisions were up to policies: 0 same, 1 would be denied, 0 would be allowed, 0 cannot be told',
  )
  expect(await bailiwick('policy', 'diff', second ?? '', second ?? '')).toMatchObject({ code: 0 })
  expect((await bailiwick('policy', 'diff', second ?? '', first ?? '')).out[0]).toMatch(
    /^would be allowed .* was denied: by none$/,
  )
})

it('leaves out events that no service of this installation signed, and says so', async () => {
  allow('read', 1)
  allow('forged', 2)
  log.draft('forged').signer = 'issuer'
  log.write()
  const said = await replay(shipped)
  expect(said).toMatchObject({ code: 1, decisions: 1 })
  expect(said.err.join()).toContain(
    'was left out: it is not signed by a service of this installation (key_purpose_wrong)',
  )
})

it('leaves out decisions that do not count because they lost their place', async () => {
  allow('read', 1)
  allow('again', 1)
  log.write()
  expect(await replay(shipped)).toMatchObject({ code: 0, decisions: 1 })
})

it('refuses a log that its signed checkpoint does not commit to', async () => {
  allow('read', 1)
  log.write()
  const path = readdirOfEntries()
  const bytes = readFileSync(path)
  bytes[bytes.length - 40] = (bytes[bytes.length - 40] as number) ^ 1
  writeFileSync(path, bytes)
  const { code, out } = await bailiwick('policy', 'replay', directoryOf(shipped))
  expect([code, out[0]]).toEqual([1, expect.stringContaining('NOT what its key commits to')])
})
function readdirOfEntries(): string {
  const width = [...log.drafts].length
  return join(paths(log.data).log, `tile/entries/000.p/${width}`)
}

it('sums up a candidate’s answers in shadow', async () => {
  const [one, two, three] = [allow('read', 1), allow('adjust', 2), deny('refused', 'policy_denied', ['x'])]
  const candidate = policySetOf(plus('// other')).hash
  const policy_set = policySetOf(shipped).hash
  const answers = [
    { decision_id: one, policy_set, active: 'allow' as const, candidate: 'allow' as const },
    { decision_id: two, policy_set, active: 'allow' as const, candidate: 'deny' as const, policies: ['no'] },
    { decision_id: three, policy_set, active: 'deny' as const, candidate: 'unanswered' as const },
  ]
  log.say('answers', 'decisions.v1', 'candidate.answered', `policy-set ${candidate}`, { candidate, answers })
  log.write()
  const { code, out } = await bailiwick('policy', 'shadow')
  expect(code).toBe(1)
  expect(out[0]).toBe(
    `candidate ${candidate}: 3 decisions: 1 same, 1 would be denied, 0 would be allowed, 1 unanswered`,
  )
  expect(out[1]).toMatch(
    new RegExp(`^ {2}would be denied  .*Z  ${two}  tools/call tool ${sample.toolServer}/read  allow → deny by no$`),
  )
})

it('installs a candidate as a whole, and removes it; refuses to install a set that cannot be loaded', async () => {
  log.write()
  const { candidate } = paths(log.data)
  const directory = directoryOf(plus('@id("none") forbid (principal, action, resource);'))
  const { hash } = policySetOf(readPolicyFiles(directory))
  expect(await bailiwick('policy', 'shadow', directory)).toMatchObject({
    code: 0,
    out: [expect.stringContaining(hash)],
  })
  expect(policySetOf(readPolicyFiles(candidate)).hash).toBe(hash)
  const broken = directoryOf(plus('permit (principal,'))
  expect(await bailiwick('policy', 'shadow', broken)).toMatchObject({
    code: 2,
    err: [expect.stringContaining('mine.cedar')],
  })
  expect(policySetOf(readPolicyFiles(candidate)).hash).toBe(hash)
  expect(await bailiwick('policy', 'shadow', '--stop')).toMatchObject({ code: 0, out: [expect.stringContaining(hash)] })
  expect(() => readPolicyFiles(candidate)).toThrow('no policy directory')
  expect(await bailiwick('policy', 'shadow')).toMatchObject({ code: 0, out: ['no candidate was asked'] })
})
