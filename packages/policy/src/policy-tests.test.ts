import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parsePolicySet } from './policy-set.ts'
import { readPolicyTests, testPolicies } from './policy-tests.ts'

const schema = `entity U { n: Long, from?: ipaddr }; entity R;
action a appliesTo { principal: U, resource: R, context: { ok: Bool, price?: decimal, friend?: U } };
namespace Far { action b appliesTo { principal: U, resource: R, context: {} }; }`
const policies = `@id("all") permit (principal, action, resource);
@id("not-ok") forbid (principal, action == Action::"a", resource) when { !context.ok };
@id("seen") @redact("iban") @limit("9") @report_outcome_by("5") permit (principal, action == Action::"a", resource) when { context has friend };
@id("watched") @notify("sec") forbid (principal, action == Action::"a", resource) when { context.ok && principal.n == -1 };
@id("dear") @step_up("ask") forbid (principal, action == Action::"a", resource)
when { context has price && context.price.greaterThan(decimal("9.50")) };
@id("sum") forbid (principal, action, resource) when { principal.n + 9223372036854775807 < 0 };`

const set = parsePolicySet(
  new Map([
    ['schema.cedarschema', Buffer.from(schema)],
    ['a.cedar', Buffer.from(policies)],
  ]),
)

function testsOf(yaml: string) {
  const directory = mkdtempSync(join(tmpdir(), 'policycli-'))
  try {
    mkdirSync(join(directory, 'tests'))
    writeFileSync(join(directory, 'tests/a.yaml'), yaml)
    return readPolicyTests(directory)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

const request = (context: string, n = 0, action = 'a') =>
  `{subject: {type: U, id: u, properties: {n: ${n}}}, action: {name: ${action}}, resource: {type: R, id: r}, context: ${context}}`
function failure(asked: string, expected: string) {
  const [test] = testsOf(`- {name: t, request: ${asked}, expect: ${expected}}`)
  return test && testPolicies(set, [test])[0]?.failure
}

describe('a test', () => {
  it.each<[asked: string, expected: string]>([
    [request('{ok: true}'), '{decision: true}'],
    [request('{ok: true}'), '{decision: allow, reasons: [all], obligations: []}'],
    [request('{ok: false}'), '{decision: deny, reasons: [policy_denied, not-ok]}'],
    [
      request('{ok: true, price: "9.51"}'),
      '{decision: false, reasons: [step_up_required, dear], obligations: [step_up]}',
    ],
    [
      request('{ok: false, price: "9.51"}'),
      '{decision: deny, reasons: [not-ok, dear, policy_denied], obligations: []}',
    ],
    [request('{ok: true}', 1), '{decision: deny, reasons: [policy_error, sum]}'],
    [request('{}'), '{decision: deny, reasons: [request_invalid]}'],
    [request('{ok: true}').replace('n: 0', 'n: 0.0'), '{decision: deny, reasons: [request_invalid]}'],
    [request('{ok: true}').replace('n: 0', 'n: 1e3'), '{decision: deny, reasons: [request_invalid]}'],
    [request('{ok: "yes"}'), '{decision: deny, reasons: [request_invalid]}'],
    [
      request('{ok: true, friend: {type: U, id: v}}'),
      '{decision: allow, obligations: [redact, {id: limit}, report_outcome_by]}',
    ],
    [request('{ok: true}', -1), '{decision: deny, reasons: [watched], obligations: [notify]}'],
    [request('{}', 0, 'b'), '{decision: allow}'],
    // As a double it would be larger by one, and no policy would err.
    [request('{ok: true}', 0).replace('n: 0', 'n: -9223372036854775807'), '{decision: allow}'],
  ])('passes: %s, %s', (asked, expected) => {
    expect(failure(asked, expected)).toBeUndefined()
  })

  it.each<[asked: string, expected: string, got: RegExp]>([
    [request('{ok: true}'), '{decision: deny}', /^allow by all$/],
    [request('{ok: false}'), '{decision: allow}', /^deny by policy_denied, not-ok$/],
    [request('{ok: false, price: "9.51"}'), '{decision: deny, reasons: [not-ok]}', /dear/],
    [request('{ok: false}'), '{decision: deny, reasons: [nott-ok]}', /not-ok/],
    [request('{ok: false}'), '{decision: deny, reasons: [policy_error]}', /policy_denied/],
    [request('{ok: false}'), '{decision: deny, obligations: [step_up]}', /^deny by policy_denied, not-ok$/],
    [request('{ok: true, price: "9.51"}'), '{decision: deny, obligations: []}', /with step_up$/],
    // Cedar alone would skip the erring forbid, and allow.
    [request('{ok: true}', 1), '{decision: allow}', /^deny by policy_error, sum; .*overflow/],
    [request('{}'), '{decision: allow}', /request_invalid; ./],
  ])('fails, and says what it got: %s, %s', (asked, expected, got) => {
    expect(failure(asked, expected)?.got).toMatch(got)
  })
})

it.each([
  ['an unknown member', '- {name: t, request: {}, expects: {}}'],
  ['an expectation that is none', `- {name: t, request: ${request('{}')}, expect: {decision: maybe}}`],
  ['no list', 'name: t'],
  ['a key twice', '- {name: t, name: u}'],
  [
    'aliases without an end',
    `a0: &a0 x\n${Array.from({ length: 9 }, (_, n) => `a${n + 1}: &a${n + 1} [${Array(9).fill(`*a${n}`).join()}]`).join('\n')}`,
  ],
])('a file with %s is refused, and named', (_, yaml) => {
  expect(() => testsOf(yaml)).toThrow(expect.objectContaining({ detail: expect.stringContaining('tests/a.yaml') }))
})

it('a context may be written once, and varied', () => {
  const [first, second] =
    testsOf(`- {name: t, request: {subject: {type: U, id: u}, action: {name: a}, resource: {type: R, id: r}, context: &c {ok: true, n: 1}}, expect: {decision: allow}}
- {name: u, request: {subject: {type: U, id: u}, action: {name: a}, resource: {type: R, id: r}, context: {<<: *c, n: 2}}, expect: {decision: allow}}`)
  expect([first?.request.context, second?.request.context]).toEqual([
    { ok: true, n: 1n },
    { ok: true, n: 2n },
  ])
})
