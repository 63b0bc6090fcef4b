import type { Agent } from '@bailiwick/agent'
import { errorCode } from '@bailiwick/errors'
import { after } from '@bailiwick/kit'

/** How often the issuer is asked. A withdrawal ends the program within this time and that of one answer. */
const usualMs = 1000

/** For the same agent and the same grant this says that it is over, and a later answer cannot take that back. */
const over: ReadonlySet<string> = new Set(['grant_unknown', 'access_request_refused'])

export interface WatchOptions {
  agent: Pick<Agent, 'grantState'>
  grantId: string
  signal: AbortSignal
  /** Called once for each time that the issuer does not answer, and once when it does again. */
  report: (line: string) => void
  everyMs?: number
}

/**
 * Resolves once the grant has ended. While the issuer cannot be asked it goes on waiting: the gateway asks the decision point about each
 * call, and denies when that is cut off, so a program cannot use the time. Rejects with the signal's reason.
 */
export async function untilEnded({ agent, grantId, signal, report, everyMs = usualMs }: WatchOptions): Promise<void> {
  let isAway = false
  for (;;) {
    try {
      if ((await agent.grantState({ grantId })) === 'ended') return
      if (isAway) report('the issuer answers again')
      isAway = false
    } catch (error) {
      const code = errorCode(error)
      if (over.has(code)) return
      if (!isAway) report(`cannot learn whether the task still lives: ${code}`)
      isAway = true
    }
    await after(everyMs, signal)
  }
}
