import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Document, parseDocument, visit } from 'yaml'
import { z } from 'zod'
import { firstIssue } from './first-issue.ts'
import { invalid } from './invalid-policies.ts'
import type { PolicySet } from './policy-set.ts'
import { PolicyTrial, type TrialAnswer } from './policy-trial.ts'
import { requestSchema } from './trial-request.ts'

const testSchema = z.strictObject({
  name: z.string().min(1),
  request: requestSchema,
  expect: z.strictObject({
    decision: z.union([z.boolean(), z.enum(['allow', 'deny'])]).transform((said) => said === true || said === 'allow'),
    /** Reason codes and policy ids. If there are ids, they must be exactly the policies that decided. */
    reasons: z.array(z.string()).optional(),
    /** All obligations, by name: `redact`, `limit`, `report_outcome_by`, `notify`, `step_up`. */
    obligations: z.array(z.union([z.string(), z.looseObject({ id: z.string() }).transform(({ id }) => id)])).optional(),
  }),
})

export interface PolicyTest extends z.output<typeof testSchema> {
  /** `tests/x.yaml` */
  file: string
}

export interface TestResult {
  test: PolicyTest
  /** Absent: the test passed. */
  failure?: { expected: string; got: string }
}

/** Reads `tests/*.yaml`, in name order. Throws `config_invalid`, with the file and position, for anything that is not a test. */
export function readPolicyTests(directory: string): PolicyTest[] {
  const folder = join(directory, 'tests')
  if (!existsSync(folder)) return []
  const names = readdirSync(folder)
    .filter((name) => name.endsWith('.yaml'))
    .sort()
  return names.flatMap((name) => policyTestsIn(`tests/${name}`, readFileSync(join(folder, name), 'utf8')))
}

/** The tests in a text; `file` is its name in what is said of them. Throws `config_invalid` as `readPolicyTests`. */
export function policyTestsIn(file: string, text: string): PolicyTest[] {
  const document = parseDocument(text, { uniqueKeys: true, schema: 'core', merge: true, intAsBigInt: true })
  const [problem] = document.errors
  // The lines after the first draw the position.
  if (problem) throw invalid(file, problem.message.split('\n')[0]?.replace(/:$/, ''))
  keepFractions(document)
  const read = z.array(testSchema).safeParse(readDocument(document, file))
  if (!read.success) throw invalid(file, firstIssue(read.error))
  return read.data.map((test) => ({ ...test, file }))
}

/** Throws `config_invalid` for aliases that would make more text than a person wrote. */
function readDocument(document: Document, file: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 10_000 })
  } catch (cause) {
    throw invalid(file, cause instanceof Error ? cause.message : undefined)
  }
}

/** A number with a fraction or an exponent is not an integer, not even `1.0`: the plain decision point reads a body in the same way. */
function keepFractions(document: Document): void {
  visit(document, {
    Scalar(_, node) {
      if (typeof node.value === 'number' && Number.isSafeInteger(node.value)) node.value = Number.NaN
    },
  })
}

/** Throws `config_invalid` for a set that cannot be loaded. */
export function testPolicies(set: PolicySet, tests: readonly PolicyTest[]): TestResult[] {
  const trial = new PolicyTrial(set)
  return tests.map((test) => resultOf(set, test, trial.ask(test.request)))
}

function resultOf(set: PolicySet, test: PolicyTest, answer: TrialAnswer): TestResult {
  const { decision, reasons, obligations } = test.expect
  const isAsExpected =
    (answer.outcome === 'allow') === decision &&
    (reasons === undefined || hasReasons(set, answer, reasons)) &&
    (obligations === undefined || sameSet(answer.obligations, obligations))
  if (isAsExpected) return { test }
  const expected = said(decision ? 'allow' : 'deny', reasons, obligations)
  const got = said(
    answer.outcome === 'allow' ? 'allow' : 'deny',
    [...codesOf(answer), ...answer.policies],
    answer.obligations,
  )
  return { test, failure: { expected, got: [got, ...answer.messages].join('; ') } }
}

const codes = {
  allow: undefined,
  deny: 'policy_denied',
  step_up: 'step_up_required',
  error: 'policy_error',
  invalid: 'request_invalid',
} as const

/** The decision point's reason code (docs/reference/decision-reasons.md). */
const codesOf = ({ outcome }: TrialAnswer): string[] => (codes[outcome] === undefined ? [] : [codes[outcome]])

function hasReasons({ policies }: PolicySet, answer: TrialAnswer, wanted: readonly string[]): boolean {
  const given = new Set([...codesOf(answer), ...answer.policies])
  const ids = wanted.filter((reason) => policies.has(reason))
  return wanted.every((reason) => given.has(reason)) && (ids.length === 0 || sameSet(answer.policies, ids))
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return new Set(a).size === new Set(b).size && a.every((each) => b.includes(each))
}

function said(decision: string, reasons: readonly string[] = [], obligations: readonly string[] = []): string {
  const by = reasons.length > 0 ? ` by ${reasons.join(', ')}` : ''
  return obligations.length > 0 ? `${decision}${by}, with ${obligations.join(', ')}` : `${decision}${by}`
}
