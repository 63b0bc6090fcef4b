import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  askCedar,
  CompiledPolicies,
  type PolicyRequest,
  parseExactJson,
  parsePolicySet,
  preparse,
  shapesOf,
} from '@bailiwick/policy'
import { z } from 'zod'

// node test/reference/cedar-corpus.ts FOLDER
// Runs Cedar's integration tests, which you fetch first: a checkout of github.com/cedar-policy/cedar-integration-tests, with
// corpus-tests.tar.gz unpacked in it. Each expected answer is compared with the compiled engine's and with Cedar's own. Prints what was not
// run, and why; the exit code is 1 for a difference, and 2 if nothing was run.

const name = z.object({ type: z.string(), id: z.string() })
const names = z.array(z.string())
const request = z.object({
  description: z.string().default(''),
  principal: name.nullable().default(null),
  action: name.nullable().default(null),
  resource: name.nullable().default(null),
  context: z.record(z.string(), z.unknown()),
  validateRequest: z.boolean().default(true),
  decision: z.enum(['allow', 'deny', 'Allow', 'Deny']),
  reason: names.optional(),
  /** As older versions call it. */
  reasons: names.optional(),
  errors: names,
})
const test = z.object({
  policies: z.string(),
  policyFormat: z.enum(['cedar', 'json']).default('cedar'),
  entities: z.string(),
  schema: z.string(),
  schemaFormat: z.enum(['cedar', 'json']).default('cedar'),
  requests: z.array(request).optional(),
  queries: z.array(request).optional(),
})
type Test = z.output<typeof test>
type Request = z.output<typeof request>

export interface CorpusReport {
  tests: number
  requests: number
  /** Requests that the compiled engine answered, as expected. */
  compiled: number
  /** Requests that it left to Cedar, by its reason; Cedar answered as expected. */
  left: Record<string, number>
  /** What was not run, and why. */
  notRun: string[]
  differences: string[]
}

export function runCorpus(folder: string): CorpusReport {
  const report: CorpusReport = { tests: 0, requests: 0, compiled: 0, left: {}, notRun: [], differences: [] }
  for (const path of globSync('**/*.json', { cwd: folder }).toSorted()) {
    const json = parseExactJson(readFileSync(join(folder, path), 'utf8'))
    // Entities and schemas stand beside the tests.
    if (
      typeof json !== 'object' ||
      json === null ||
      !('policies' in json) ||
      !('requests' in json || 'queries' in json)
    )
      continue
    const read = test.safeParse(json)
    if (read.success) runTest(folder, path, read.data, report)
    else report.notRun.push(`${path}: ${z.prettifyError(read.error)}`)
  }
  return report
}

function runTest(folder: string, path: string, asked: Test, report: CorpusReport): void {
  const requests = asked.requests ?? asked.queries ?? []
  const loaded = attempt(() => load(folder, asked))
  if (typeof loaded === 'string') {
    report.notRun.push(`${path}: ${requests.length} requests: ${loaded}`)
    return
  }
  report.tests++
  for (const each of requests) runRequest(`${path}: ${each.description}`, each, loaded, report)
}

interface Loaded {
  compiled: CompiledPolicies
  cedar: ReturnType<typeof preparse>
  entities: NonNullable<PolicyRequest['entities']>
}

function load(folder: string, { policies, policyFormat, entities, schema, schemaFormat }: Test): Loaded {
  if (policyFormat === 'json' || schemaFormat === 'json')
    throw new Error('policies or a schema in JSON, which no set of Bailiwick has')
  const text = (file: string) => readFileSync(join(folder, file))
  const parsed = parsePolicySet(
    new Map([
      ['p.cedar', text(policies)],
      ['schema.cedarschema', text(schema)],
    ]),
  )
  // The expected answers name policies by their position, as Cedar does by default.
  const numbered = Array.from(parsed.policies.values(), (policy, n) => ({ ...policy, id: `policy${n}` }))
  const set = { ...parsed, policies: new Map(numbered.map((policy) => [policy.id, policy])) }
  return {
    compiled: new CompiledPolicies(numbered, { shapes: shapesOf(parsed.schema ?? '') }),
    cedar: preparse(set, 'corpus'),
    entities: z.array(z.custom<Loaded['entities'][number]>()).parse(parseExactJson(text(entities).toString())),
  }
}

function runRequest(where: string, asked: Request, { compiled, cedar, entities }: Loaded, report: CorpusReport): void {
  const { principal, action, resource, context, validateRequest } = asked
  if (principal === null || action === null || resource === null) {
    report.notRun.push(`${where}: without a principal, an action or a resource, which no request to Bailiwick is`)
    return
  }
  report.requests++
  const request: PolicyRequest = { principal, action, resource, context, entities }
  const expected = {
    decision: asked.decision.toLowerCase(),
    reason: (asked.reason ?? asked.reasons ?? []).toSorted(),
    errors: asked.errors.toSorted(),
  }
  const differs = (engine: string, answer: unknown) => {
    if (JSON.stringify(answer) === JSON.stringify(expected)) return false
    report.differences.push(`${where}: ${engine} ${JSON.stringify(answer)}, expected ${JSON.stringify(expected)}`)
    return true
  }
  const told = askCedar(cedar, request, validateRequest)
  // A request that Cedar does not take is expected to be denied, without reasons.
  const byCedar = told.ok
    ? { decision: told.decision, reason: told.reason, errors: told.errors.map(({ policyId }) => policyId).toSorted() }
    : { decision: 'deny', reason: [], errors: [] }
  differs('Cedar', byCedar)
  const answer = compiled.answer(request)
  if (typeof answer === 'string') report.left[answer] = (report.left[answer] ?? 0) + 1
  else if (!differs('compiled', { decision: answer.decision, reason: answer.reason, errors: answer.erred }))
    report.compiled++
}

function attempt<T>(run: () => T): T | string {
  try {
    return run()
  } catch (error) {
    const { detail } = error as { detail?: string }
    return detail ?? String(error)
  }
}

if (import.meta.main) {
  const [folder] = process.argv.slice(2)
  if (folder === undefined) {
    console.error('node test/reference/cedar-corpus.ts FOLDER')
    process.exit(2)
  }
  const { notRun, differences, ...counts } = runCorpus(folder)
  for (const each of notRun) console.log(`not run: ${each}`)
  for (const each of differences) console.log(`different: ${each}`)
  console.log(`cedar-corpus: ${JSON.stringify({ ...counts, notRun: notRun.length, differences: differences.length })}`)
  if (differences.length > 0) process.exitCode = 1
  else if (counts.requests === 0) process.exitCode = 2
}
