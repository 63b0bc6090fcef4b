import { parentPort, workerData } from 'node:worker_threads'
import { ServiceError } from '@bailiwick/errors'
import type { PolicyFiles } from '@bailiwick/installation'
import { checkPolicyFiles } from './check-policies.ts'
import { decisionSet } from './decision-set.ts'
import { explainPolicies } from './explain-policies.ts'
import { invalid } from './invalid-policies.ts'
import { placeholder } from './placeholder.ts'
import { loadPolicySet } from './policy-set.ts'
import { policyTestsIn, testPolicies } from './policy-tests.ts'
import { hasPermit } from './require-permit.ts'
import { shapesOf } from './schema-shapes.ts'
import { readRequest } from './trial-request.ts'
import type { PolicyTask, PolicyTaskDone, TriedCall, TriedTest } from './tried-aside.ts'

// A thread that tries one policy set for `tryAside`, which ends it.

if (!parentPort) throw new Error('a thread of its own')
const port = parentPort

try {
  port.postMessage({ done: doIt(workerData as PolicyTask) })
} catch (error) {
  if (!(error instanceof ServiceError) || error.detail === undefined) throw error
  port.postMessage({ refused: error.detail })
}

function doIt(task: PolicyTask): PolicyTaskDone[PolicyTask['do']] {
  switch (task.do) {
    case 'check':
      return check(task)
    case 'explain':
      return explain(task.files, task.request)
    case 'question':
      return { request: questionOf(task.files, task.about) }
  }
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
  return JSON.stringify(request, undefined, 2)
}
