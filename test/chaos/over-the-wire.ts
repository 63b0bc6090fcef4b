import type { PointsWorld } from '../e2e/agent-side.ts'

/** What an enforcement point says, as the process at `url` hears it. */
export function overTheWire(url: string): PointsWorld['http'] {
  const inject = async (sent: { method: string; url: string; headers: Record<string, string>; payload: string }) => {
    const { method, headers, payload: body } = sent
    const answer = await fetch(`${url}${sent.url}`, { method, headers, body })
    const text = await answer.text()
    return { statusCode: answer.status, json: () => JSON.parse(text) }
  }
  return { inject } as never
}
