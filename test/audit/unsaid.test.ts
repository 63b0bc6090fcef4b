import { sample } from '@bailiwick/standalone/sample'
import type { Rule } from '@bailiwick/verify/audit'
import { expect, it } from 'vitest'
import { allowed, findingsOf, move } from './forge.ts'
import { type GoodLog, goodLog } from './good-log.ts'

// What a stolen service can leave out: intents before credentials, and the outcomes of its ALLOWs.

const lies: readonly [name: string, rule: Rule, lie: (log: GoodLog) => void, detail: string][] = [
  [
    'a credential that was issued without an intent (V4)',
    'V4',
    (log) => {
      log.drafts.delete('task intended')
      log.draft('task issued').version = 2
      log.draft('expired').version = 3
    },
    'issued without an earlier intent',
  ],
  [
    'a credential that was issued before its intent (V4)',
    'V4',
    (log) => {
      move(log, 'task issued', 'task intended')
      log.draft('task issued').version = 2
      log.draft('task intended').version = 2
      log.draft('expired').version = 3
    },
    'issued without an earlier intent',
  ],
  [
    'a credential of another tree, issued in this one (V4)',
    'V4',
    (log) => {
      log.grant('other')
      log.draft('other issued').key = log.draft('task grant').subject
      log.draft('other issued').version = 4
      log.draft('expired').version = 5
    },
    'issued without an earlier intent',
  ],
  [
    'an ALLOW for an agent that is not registered (V7)',
    'V7',
    (log) => {
      log.draft(`agent ${log.agent.slice(0, log.agent.lastIndexOf('/'))}`).at = allowed(log, 'read').at + 1001
    },
    'for an agent that is not registered',
  ],
  [
    'an ALLOW that is dated before a revocation that it came after (V7)',
    'V7',
    (log) => {
      const draft = allowed(log, 'adjust again')
      draft.at = allowed(log, 'adjust').at - 1500
    },
    'dated before what /policy-decision/start-1 had said already',
  ],
  [
    'an intent that is dated before what the issuer had said already (V7)',
    'V7',
    (log) => {
      log.draft('task intended').at = log.draft('task grant').at - 1500
    },
    'dated before what /issuer/start-1 had said already',
  ],
  [
    'an ALLOW with a tool that is not the one that was approved (V3)',
    'V3',
    (log) => {
      log.grant('other', { statement: { manifests: { [sample.toolServer]: 'A'.repeat(43) } } })
      log.allow('other read', 'other', 1)
    },
    'with a tool that was changed',
  ],
  [
    'a grant for longer than was asked, which a human signed (V3)',
    'V3',
    (log) => void log.grant('other', { asked: { expires_in_seconds: 3599 } }),
    'for another time than was asked',
  ],
  [
    'a grant that begins before it was asked, which a human signed (V3)',
    'V3',
    (log) => void log.grant('other', { asked: { not_before: log.iso(1000) } }),
    'for another time than was asked',
  ],
  [
    'a grant of one action, where a window was asked for, which a human signed (V3)',
    'V3',
    (log) => void log.grant('other', { asked: { mode: 'per_action', action_digest: 'A'.repeat(43) } }),
    'another kind of thing than was asked',
  ],
  [
    'a grant that may move to another key, which was not asked for and a human signed (V3)',
    'V3',
    (log) => void log.grant('other', { statement: { rebind: 'attested' } }),
    'another kind of thing than was asked',
  ],
  [
    'an outcome that is reported missing before it was due',
    'outcome',
    (log) => {
      log.draft('missing').at = allowed(log, 'last read').at + 10
    },
    'reported missing before it was due',
  ],
  [
    'an ALLOW without any report of its outcome',
    'outcome',
    (log) => {
      log.drafts.delete('missing')
      speakLater(log, 60_001)
    },
    'neither an outcome nor that it is missing',
  ],
]

it.each(lies)('finds %s', async (_, rule, lie, detail) => {
  using log = await goodLog()
  lie(log)
  const expected = { rule, detail: expect.stringContaining(detail) }
  expect(await findingsOf(log)).toContainEqual(expect.objectContaining(expected))
})

/**
 * The grant was suspended before the last ALLOW. Lists the issuer's later events about it, with their time relative to
 * that ALLOW, ms.
 */
function suspended(log: GoodLog, ...then: readonly (readonly ['resumed' | 'completed', number])[]): void {
  const { grant } = log.draft<'grants.v1', 'grant.created'>('task grant').data
  const { at } = allowed(log, 'last read')
  const said = [['suspended', -9000], ...then] as const
  for (const [n, [what, ms]] of said.entries())
    log.say(what, 'grants.v1', `grant.${what}`, grant.id, { grant }, { version: 4 + n, at: at + ms })
  const expired = log.draft('expired')
  log.drafts.delete('expired')
  log.drafts.set('expired', { ...expired, version: 4 + said.length })
}

it.each([
  ['while its grant was suspended and resumed later', [['resumed', 5000]]],
  [
    'after its grant was completed, having been suspended once',
    [
      ['resumed', -8000],
      ['completed', -3000],
    ],
  ],
] as const)('finds an ALLOW %s (V7)', async (_, then) => {
  using log = await goodLog()
  suspended(log, ...then)
  const detail = expect.stringContaining('after the grant had ended')
  expect(await findingsOf(log)).toContainEqual(expect.objectContaining({ rule: 'V7', detail }))
})

it('accepts an ALLOW of a grant that was resumed before it', async () => {
  using log = await goodLog()
  suspended(log, ['resumed', -3000])
  expect(await findingsOf(log)).toEqual([])
})

it('survives a forger’s pointers into strings and at prototypes', async () => {
  using log = await goodLog()
  allowed(log, 'read').data.action.arguments = { '/a': 'text', '/a/b': '1', '/__proto__/forged': '1' }
  expect(await findingsOf(log)).toEqual([])
  expect(Object.hasOwn(Object.prototype, 'forged')).toBe(false)
})

const jws = (header: string, payload: string) =>
  [header, payload, 'A'.repeat(64)].map((part, n) => (n < 2 ? Buffer.from(part).toString('base64url') : part)).join('.')
const request = '{"alg":"ES256","typ":"bailiwick-request+jws"}'

it.each([
  [
    'an outcome whose header is null',
    'read done',
    'outcome',
    jws('null', '{}'),
    'its enforcement point did not sign it',
  ],
  [
    'a request whose header is a list',
    'task received',
    'request',
    jws('[]', '{}'),
    'its agent did not sign the request',
  ],
  ['one of two parts of a request that is null', 'part1 received', 'request', jws(request, 'null'), 'did not sign'],
  ['one of two parts of a request that is not JSON', 'part1 received', 'request', jws(request, 'no'), 'did not sign'],
])('continues after %s, and reports it', async (_, name, member, value, detail) => {
  using log = await goodLog()
  const iat = Math.floor(Date.parse(log.iso()) / 1000)
  const asked = { jti: 'shared', iat, exp: iat + 600 }
  if (name.startsWith('part')) for (const item of [0, 1]) log.grant(`part${item}`, { item, asked })
  Object.assign(log.draft(name).data, { [member]: value })
  expect(await findingsOf(log)).toContainEqual(expect.objectContaining({ detail: expect.stringContaining(detail) }))
})

it('gives a decision point time to report an outcome that did not come', async () => {
  using log = await goodLog()
  log.drafts.delete('missing')
  speakLater(log, 59_000)
  expect(await findingsOf(log)).toEqual([])
})

it('expects no report for a time in which no decision point ran', async () => {
  using log = await goodLog()
  log.drafts.delete('missing')
  log.restart()
  speakLater(log, 3600_000)
  expect(await findingsOf(log)).toEqual([])
})

/** A decision point denies a call, this long after the last outcome was due. */
function speakLater(log: GoodLog, ms: number): void {
  const { outcome_due } = allowed(log, 'last read').data
  const denied = { decision_id: `dec_${'l'.repeat(20)}`, reason: 'grant_revoked', requestable: false }
  log.say('denied late', 'decisions.v1', 'decision.denied', denied.decision_id, denied, {
    key: log.draft('denied').key ?? '',
    at: Date.parse(outcome_due) + ms,
  })
}
