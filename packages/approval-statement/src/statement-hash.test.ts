import { createHash } from 'node:crypto'
import { grantIdSchema, requestIdSchema, type Statement } from '@bailiwick/contracts'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { buildRegistryStatement } from './build-statement.ts'
import { anApprover, aPasskey, aStatement, iso, now, trust } from './samples.test-data.ts'
import {
  changeRequestId,
  grantIdOf,
  groupHash,
  policySetHash,
  requestIdOf,
  statementChallenge,
  statementHash,
} from './statement-hash.ts'
import { verifyAssertion } from './verify-assertion.ts'

const hash = (letter: string) => `${letter.repeat(42)}A`
const passkey = aPasskey()
const anna = anApprover('anna', ['finance'], passkey)

const statements: Statement[] = [
  aStatement({ approvers: [anna], mode: 'continuous', continuous: { reattest_seconds: 60, outcome_seconds: 30 } }),
  aStatement({ approvers: [anna], mode: 'per_action', action_digest: hash('d') }),
  buildRegistryStatement({
    installation: trust.installation,
    change_id: 'req_01234567890123456789',
    proposer: 'olga',
    entities: [{ type: 'rule', id: 'finance', version: 2, before: hash('b'), after: hash('a') }],
    not_after: iso(now + 60_000),
    nonce: 'AAAAAAAAAAAAAAAAAAAAAA',
    now,
  }),
  {
    v: 1,
    kind: 'step_up',
    installation: trust.installation,
    request_id: 'req_01234567890123456789',
    grant_id: `grt_${hash('g')}`,
    action_digest: hash('d'),
    not_after: iso(now + 60_000),
    nonce: 'AAAAAAAAAAAAAAAAAAAAAA',
    issued_at: iso(now),
  },
]

/** Every position in a value, as the path of keys that leads to it. */
function places(value: unknown, path: string[] = []): string[][] {
  const inner = typeof value === 'object' && value !== null ? Object.entries(value) : []
  return [...(path.length > 0 ? [path] : []), ...inner.flatMap(([key, member]) => places(member, [...path, key]))]
}

function changed<T>(value: T, [key = '', ...rest]: string[], to: unknown): T {
  const copy = structuredClone(value) as Record<string, unknown>
  if (rest.length > 0) copy[key] = changed(copy[key], rest, to)
  else if (to === undefined) delete copy[key]
  else copy[key] = to
  return copy as T
}

it('gives any other statement another hash, which the signature does not verify over (V3)', async () => {
  const everyPlace = statements.flatMap((statement) => places(statement).map((path) => ({ statement, path })))
  const values = fc.oneof(fc.constant(undefined), fc.string({ unit: 'grapheme' }), fc.integer(), fc.constant([]))
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...everyPlace), values, async ({ statement, path }, to) => {
      const genuine = passkey.sign(statement)
      const other = changed(statement, path, to)
      fc.pre(JSON.stringify(other) !== JSON.stringify(statement))
      expect(statementHash(other)).not.toBe(statementHash(statement))
      const verdict = await verifyAssertion({
        statement: other,
        assertion: genuine,
        approver: anna,
        credential: passkey.record,
        rpId: trust.rp_id,
        origins: trust.origins,
      })
      expect(verdict).toMatchObject({ ok: false, detail: 'client_data_json: the challenge is not this statement' })
    }),
    { numRuns: 300 },
  )
})

it('does not depend on the order in which a statement was written down', () => {
  for (const statement of statements) {
    const backwards = Object.fromEntries(Object.entries(statement).reverse()) as Statement
    expect(statementHash(backwards)).toBe(statementHash(statement))
  }
})

it('challenges with the 32 bytes that the hash names', () => {
  for (const statement of statements) {
    expect(Buffer.from(statementChallenge(statement)).toString('base64url')).toBe(statementHash(statement))
    expect(statementChallenge(statement)).toHaveLength(32)
  }
})

it('hashes as anybody can who has RFC 8785 and SHA-256', () => {
  const files = { 'b.cedar': 'y', 'a.cedar': 'x' }
  const canonical = '{"a.cedar":"x","b.cedar":"y"}'
  expect(policySetHash(files)).toBe(createHash('sha256').update(canonical).digest('base64url'))
})

it('derives ids that are ids, one for each content', () => {
  const [first, second] = statements.map(statementHash)
  expect(grantIdSchema.parse(grantIdOf(first ?? ''))).not.toBe(grantIdOf(second ?? ''))
  expect(requestIdSchema.parse(requestIdOf('a.b.c'))).not.toBe(requestIdOf('a.b.d'))
  expect(requestIdSchema.parse(changeRequestId([{ id: 'x' }], 'n1'))).not.toBe(changeRequestId([{ id: 'x' }], 'n2'))
  expect(changeRequestId([{ id: 'x' }], 'n1')).toBe(changeRequestId([{ id: 'x' }], 'n1'))
})

it('names a group by its members and their passkeys, in any order, and ignores other approvers', () => {
  const [first, second, third] = [aPasskey(), aPasskey(), aPasskey()]
  const anna = anApprover('anna', ['finance', 'registry'], first, second)
  const ben = anApprover('ben', ['finance'], third)
  const carl = anApprover('carl', ['other'], aPasskey())
  const group = groupHash('finance', [anna, ben])
  expect(groupHash('finance', [carl, ben, anApprover('anna', ['finance'], second, first)])).toBe(group)
  expect(groupHash('finance', [anna])).not.toBe(group)
  expect(groupHash('finance', [anna, ben, anApprover('dora', ['finance'], aPasskey())])).not.toBe(group)
  expect(groupHash('finance', [anna, anApprover('ben', ['finance'], third, aPasskey())])).not.toBe(group)
  expect(groupHash('finance', [anna, anApprover('bert', ['finance'], third)])).not.toBe(group)
})
