import { ServiceError } from '@bailiwick/errors'
import type { PolicyFiles } from '@bailiwick/installation'
import { checkPolicyFiles, type PolicyFinding } from './check-policies.ts'
import { decisionSet } from './decision-set.ts'
import { explainPolicies } from './explain-policies.ts'
import { invalid } from './invalid-policies.ts'
import { mostOfAMessage, workForParent } from './own-process.ts'
import { placeholder } from './placeholder.ts'
import { loadPolicySet } from './policy-set.ts'
import { policyTestsIn, testPolicies } from './policy-tests.ts'
import { hasPermit } from './require-permit.ts'
import { shapesOf } from './schema-shapes.ts'
import { readRequest } from './trial-request.ts'
import type { PolicyTask, PolicyTaskDone, TriedCall, TriedTest } from './tried-aside.ts'

// A process that tries one policy set for `tryAside`, which ends it.

const mostCharacters = 4 * 1024 * 1024
const mostFindings = 200
const mostOfAQuestion = 65_536

workForParent(mostCharacters, doIt)

function doIt(task: PolicyTask): PolicyTaskDone[PolicyTask['do']] {
  switch (task.do) {
    case 'check':
      return bounded(check(task))
    case 'explain':
      return explain(task.files, task.request)
    case 'question':
      return { request: questionOf(task.files, task.about) }
  }
}

/** A message of Cedar spells whole types. */
function bounded({ findings, ...done }: PolicyTaskDone['check']): PolicyTaskDone['check'] {
  const cut = (finding: PolicyFinding) => ({ ...finding, message: finding.message.slice(0, mostOfAMessage) })
  // Errors first: a set with one does not load.
  const [errors, others] = [true, false].map((isError) =>
    findings.filter(({ level }) => (level === 'error') === isError),
  )
  return { ...done, findings: [...(errors ?? []), ...(others ?? [])].slice(0, mostFindings).map(cut) }
}

function check({ files, permitsNothing, tests }: Extract<PolicyTask, { do: 'check' }>): PolicyTaskDone['check'] {
  const findings = checkPolicyFiles(files, { permitsNothing })
  if (findings.some(({ level }) => level === 'error'))
    return { findings, tests: undefined, loads: false, permits: false }
  const problem = refusal(() => void decisionSet(files, { permitsNothing }))
  if (problem !== undefined) {
    findings.unshift({ level: 'error', file: 'the set', message: problem.replace(/^policies: /, '') })
    return { findings, tests: undefined, loads: false, permits: false }
  }
  const set = loadPolicySet(files)
  let results: TriedTest[] = []
  const testsProblem = refusal(() => {
    const read = Object.entries(tests).flatMap(([file, text]) => policyTestsIn(file, text))
    results = testPolicies(set, read).map(({ test: { file, name }, failure }) => ({
      file,
      name,
      ...(failure === undefined ? {} : { failure }),
    }))
  })
  const permits = hasPermit(set.policies.values())
  return { findings, tests: results, loads: true, permits, ...(testsProblem === undefined ? {} : { testsProblem }) }
}

function refusal(work: () => void): string | undefined {
  try {
    work()
    return undefined
  } catch (error) {
    if (error instanceof ServiceError && error.detail !== undefined) return error.detail
    throw error
  }
}

function explain(files: PolicyFiles, text: string): PolicyTaskDone['explain'] {
  const request = readRequest(text)
  if (request === undefined) throw invalid('the request', 'it is not {subject, action, resource, context}')
  const set = loadPolicySet(files)
  const explanation = explainPolicies(set, request)
  const named = [...explanation.policies, ...explanation.wouldChange.flatMap(({ policies }) => policies)]
  return {
    ...explanation,
    files: Object.fromEntries(named.map((id) => [id, set.policies.get(id)?.file ?? ''])),
  }
}

function questionOf(files: PolicyFiles, { agent, action, resource }: TriedCall): string {
  const { schema } = loadPolicySet(files)
  const empty = schema === undefined ? {} : placeholder(shapesOf(schema).context({ type: 'Action', id: action }))
  const { id, ...attributes } = agent
  const { type, id: resourceId, labels, server } = resource
  const context = empty as Record<string, unknown>
  const usual: Record<string, unknown> = {
    grant: {
      ...Object(context.grant),
      id: 'grt_example',
      task: 'example',
      mode: 'window',
      approvers: 1,
      seconds_left: 600,
    },
    proof: 'agent_signed',
    time: { ...Object(context.time), hour: 12, weekday: 3 },
  }
  const known = Object.fromEntries(Object.entries(usual).filter(([name]) => Object.hasOwn(context, name)))
  const request = {
    subject: { type: 'agent', id, properties: attributes },
    action: { name: action },
    resource: { type, id: resourceId, properties: { labels, server } },
    context: { ...context, ...known },
  }
  const question = JSON.stringify(request, undefined, 2)
  if (question.length > mostOfAQuestion) throw invalid('schema.cedarschema', 'the context is too large for a question')
  return question
}
