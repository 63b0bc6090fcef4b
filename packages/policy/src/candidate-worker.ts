import { parentPort, workerData } from 'node:worker_threads'
import { type PolicyFiles, readPolicyFiles } from '@bailiwick/installation'
import { z } from 'zod'
import type { CandidateAnswer, LoadedCandidate } from './candidate-thread.ts'
import { decisionSet } from './decision-set.ts'
import { evaluateEach } from './evaluate-each.ts'
import { historyIn } from './known-history.ts'
import type { PolicyRequest } from './policy-engine.ts'
import type { Shape } from './schema-shapes.ts'

// A thread that holds a candidate policy set. Nothing that it does or fails to do delays decisions: `CandidateThread` ends it.

const { directory, mostBytes, mostHistory } = z
  .object({ directory: z.string(), mostBytes: z.number(), mostHistory: z.number() })
  .parse(workerData)
if (!parentPort) throw new Error('a thread of its own')
const port = parentPort

// Read once: the hash names the set that answers, even if the files change afterwards.
const files = readPolicyFiles(directory)
if (bytesOf(files) > mostBytes) throw new Error(`larger than ${mostBytes} bytes`)
// A set that permits nothing is accepted: people want to see what it would deny before they activate it.
const { hash, engine, actions } = decisionSet(files, { permitsNothing: true })
const wanted = (id: string) => {
  const shape = historyIn(engine.context(id))
  return { shape, facts: sizeOf(shape) }
}
const history = new Map(actions.map((id) => [id, wanted(id)] as const))
for (const { facts } of history.values())
  if (facts > mostHistory) throw new Error(`it looks at more than ${mostHistory} facts of the history`)

port.on('message', ({ id, requests }: { id: number; requests: PolicyRequest[] }) => {
  const answer: CandidateAnswer = evaluateEach(engine, requests)
  port.postMessage({ id, answer })
})
port.postMessage({ hash, history } satisfies LoadedCandidate)

function bytesOf(read: PolicyFiles): number {
  return [...read.values()].reduce((sum, bytes) => sum + bytes.length, 0)
}

/** How many members there are: the decision point fills in each of them for each call. */
function sizeOf(shape: Shape | undefined): number {
  if (shape?.kind !== 'Record') return 1
  return [...shape.members.values()].reduce((sum, member) => sum + sizeOf(member), 1)
}
