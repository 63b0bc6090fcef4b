import { must } from './must.ts'
import { repeating } from './patiently.ts'

interface Trace {
  verified: boolean
  steps: { type: string; leaf_index: number; time: string; verified: boolean; problem?: string; signed_by?: string[] }[]
}

/** From the outcome of an action back to the request: what the log must hold of an action that was allowed. */
const wayBack = [
  'outcome.reported',
  'decision.allowed',
  'credential.intended',
  'grant.created',
  'request.approved',
  'request.received',
]

/** The trace of an action, once it is whole: how many steps it has, and the way back to the person, a line each. */
export async function traced(url: string, actionId: string): Promise<{ steps: number; lines: string[] }> {
  const read = async () => {
    const response = await fetch(`${url}/v1/trace/${actionId}`)
    must(response.status === 200, `the trace answered ${response.status}`)
    const trace = (await response.json()) as Trace
    return { trace, missing: wayBack.filter((type) => trace.steps.every((one) => one.type !== type)) }
  }
  const { trace, missing } = await repeating(({ missing }) => missing.length > 0, read)
  must(missing.length === 0, `the trace lacks ${missing.join(', ')}`)
  const doubtful = trace.steps.filter((one) => !one.verified).map(({ type, problem }) => `${type}: ${problem}`)
  must(trace.verified === true, `a signature on the way does not verify: ${doubtful.join(', ')}`)
  const lines = wayBack.map((type) => {
    const found = trace.steps.find((one) => one.type === type)
    const by = found?.verified ? `verified: ${found.signed_by?.join(', ') ?? 'the service'}` : 'NOT VERIFIED'
    return `     ${type.padEnd(19)} leaf ${String(found?.leaf_index).padStart(4)}  ${found?.time}  ${by}`
  })
  return { steps: trace.steps.length, lines }
}
