import { errorCode, errorKinds, ServiceError } from '@bailiwick/errors'
import { z } from 'zod'
import { failure, type Http, type ServiceAnswer } from './http.ts'
import { pause, pauses } from './pause.ts'
import { requestIdOf, type SignedRequest } from './sign-request.ts'
import { type ShownAttestation, submissionOf } from './submission.ts'

export type { AccessAsk } from './sign-request.ts'

/** The state of a request (AuthZEN Access Request Profile, "Task Status Values"). Only `approved` is an approval. */
export interface AccessTask {
  requestId: string
  status: (typeof statuses)[number] | 'failed'
  /** Present once approved. */
  grantId?: string
  /** Present where rules split the request: each part on its own. With status `partial`, only these items say what was approved. */
  items?: readonly AccessItem[]
  /** RFC 3339: after this time the request can no longer be answered. */
  expiresAt?: string
}

/** One action on one resource within the request. */
export interface AccessItem {
  action: string
  resource: { type: string; id: string }
  status: (typeof statuses)[number] | 'failed'
  grantId?: string
}

const statuses = ['pending', 'approved', 'denied', 'expired', 'cancelled', 'partial'] as const
// The profile: an unknown status must be treated as not approved.
const statusSchema = z.enum([...statuses, 'failed']).catch('failed')
const resultSchema = z
  .object({ mode: z.literal('reevaluate'), approval: z.object({ grant_id: z.string().max(100) }) })
  .optional()
  .catch(undefined)

const taskSchema = z.object({
  task: z.object({
    id: z.string().max(100),
    status: statusSchema,
    expires_at: z.string().max(40).optional(),
    items: z
      .array(
        z.object({
          resource: z.object({ type: z.string().max(100), id: z.string().max(2048) }),
          action: z.object({ name: z.string().max(200) }),
          status: statusSchema,
          result: resultSchema,
        }),
      )
      .max(4096)
      .optional(),
  }),
  result: resultSchema,
})

type TaskAnswer = z.infer<typeof taskSchema>

interface Asking {
  id: string
  http: Http
  endpoint: string
  /** What a workload with attestation shows together with its request. */
  shown?: () => Promise<ShownAttestation>
}

/** Submission, status and cancellation. The agent authenticates by the signed request, and by a DPoP proof with the same key. */
export function accessRequests({ id, http, endpoint, shown }: Asking) {
  const taskUrl = (requestId: string) => new URL(`${endpoint}/${encodeURIComponent(requestId)}`)

  async function status(requestId: string): Promise<AccessTask> {
    const answer = await http.ask(taskUrl(requestId), 'GET', (proof) => ({
      headers: { accept: 'application/json', dpop: proof },
    }))
    return readTask(answer, requestId)
  }

  return {
    status,

    async submit(signed: SignedRequest): Promise<AccessTask> {
      const body = JSON.stringify(submissionOf(id, signed, await shown?.()))
      const headers = {
        accept: 'application/json',
        'content-type': 'application/json',
        'idempotency-key': requestIdOf(signed),
      }
      const answer = await http.ask(new URL(endpoint), 'POST', (proof) => ({
        headers: { ...headers, dpop: proof },
        body,
      }))
      return readTask(answer, requestIdOf(signed))
    },

    /** Polls until there is an answer. A service outage does not end the wait, but the signal does. */
    async waitForDecision(requestId: string, signal?: AbortSignal): Promise<AccessTask> {
      for (const ms of pauses()) {
        const task = await status(requestId).catch((error: unknown) => {
          if (!errorKinds[errorCode(error)].retryable) throw error
          return undefined
        })
        if (task && task.status !== 'pending') return task
        await pause(ms, signal)
      }
      throw new ServiceError('invariant_broken', 'the pauses ended')
    },

    async cancel(requestId: string): Promise<void> {
      const url = new URL(`${taskUrl(requestId)}/cancel`)
      const answer = await http.ask(url, 'POST', (proof) => ({ headers: { accept: 'application/json', dpop: proof } }))
      if (answer.status >= 300) throw failure(answer)
    },
  }
}

function readTask(answer: ServiceAnswer, requestId: string): AccessTask {
  if (answer.status < 200 || answer.status >= 300) throw failure(answer)
  const read = taskSchema.safeParse(answer.body)
  if (!read.success) throw new ServiceError('answer_malformed', 'no task handle')
  const { task, result } = read.data
  // A request equal to a waiting one is folded into it; the answer then has the waiting one's id.
  if (task.id !== requestId && !/^req_[0-9A-Za-z_-]{20,64}$/.test(task.id))
    throw new ServiceError('answer_malformed', 'another task')
  const grantId = task.status === 'approved' ? result?.approval.grant_id : undefined
  return {
    requestId: task.id,
    status: task.status,
    ...(task.items === undefined ? {} : { items: task.items.map(itemOf) }),
    ...(grantId === undefined ? {} : { grantId }),
    ...(task.expires_at === undefined ? {} : { expiresAt: task.expires_at }),
  }
}

function itemOf({ action, resource, status, result }: NonNullable<TaskAnswer['task']['items']>[number]): AccessItem {
  const grantId = status === 'approved' ? result?.approval.grant_id : undefined
  return { action: action.name, resource, status, ...(grantId === undefined ? {} : { grantId }) }
}
