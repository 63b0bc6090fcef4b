import { api, query } from '../api.ts'
import type { ListRequestsAnswer } from '../types.ts'
import { problemText } from '../ui/problem-text.ts'

export interface Denied {
  denied: number
  /** Each with why it could not be denied. */
  failed: { id: string; why: string }[]
}

/** Denies one after the other, so that a server which refuses all of them is not asked all at once. */
export async function denyMany(ids: readonly string[], body: { reason?: string }): Promise<Denied> {
  const result: Denied = { denied: 0, failed: [] }
  for (const id of ids)
    try {
      await api(`/requests/${id}/deny`, body)
      result.denied++
    } catch (error) {
      result.failed.push({ id, why: problemText(error) })
    }
  return result
}

export function deniedWords({ denied, failed }: Denied): [string, 'done' | 'failed'] {
  const done = denied === 1 ? 'Denied one request.' : `Denied ${denied} requests.`
  if (failed.length === 0) return [done, 'done']
  return [`${done} ${failed.length} could not be denied: ${failed[0]?.why}`, 'failed']
}

/** The ids of everything that an agent waits for. */
export async function waitingOf(agent: string): Promise<string[]> {
  const ids: string[] = []
  for (let cursor: string | undefined = ''; cursor !== undefined; ) {
    const page: ListRequestsAnswer = await api(`/requests${query({ state: 'pending', agent, cursor })}`)
    ids.push(...page.items.map(({ id }) => id))
    cursor = page.next
  }
  return ids
}
