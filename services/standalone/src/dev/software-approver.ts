import { setTimeout as sleep } from 'node:timers/promises'
import { errorCode, errorKinds } from '@bailiwick/errors'
import type { Logger } from '@bailiwick/host'
import type { Clock } from '@bailiwick/kit'
import { type AnswerRules, ruleFor } from './answer-rules.ts'
import type { Approver, ConsoleState } from './approver.ts'

export interface SoftwareApproverOptions {
  approver: Approver
  rules: AnswerRules
  clock: Clock
  logger: Logger
  /** A line for the developer about each answer. */
  say: (line: string) => void
  signal: AbortSignal
}

/** How often it looks for new requests, ms. */
const lookEveryMs = 100

/**
 * Answers requests as the rules say, until `signal` is aborted: at the console's own API, with a software passkey. Failures are logged and
 * retried. If no rule matches a request, it says so once, and leaves the request to a person at the console.
 */
export async function answerRequests(options: SoftwareApproverOptions): Promise<void> {
  const { approver, rules, clock, logger, say, signal } = options
  const settled = new Set<string>()
  while (!signal.aborted) {
    try {
      const { requests, changes } = await approver.state()
      for (const request of requests) await once(request.id, () => answer(request))
      if (rules.registry_changes === 'approve')
        for (const { id } of changes)
          await once(id, async () => {
            await approver.approve(id)
            say(`approved  ${id}  a change of the registry`)
          })
    } catch (error) {
      if (signal.aborted) return
      if (errorCode(error) === 'caller_unauthenticated') await approver.signIn().catch(later)
      else later(error)
    }
    await sleep(lookEveryMs, undefined, { signal }).catch(() => undefined)
  }

  function later(err: unknown): void {
    logger.warn({ err, error_code: errorCode(err) }, 'the software approver could not answer, and tries again')
  }

  /** A refusal that a retry would not change is reported. One request never keeps others waiting. */
  async function once(id: string, act: () => Promise<void>): Promise<void> {
    if (settled.has(id)) return
    try {
      await act()
    } catch (error) {
      const code = errorCode(error)
      if (code === 'caller_unauthenticated' || errorKinds[code].retryable) throw error
      say(`refused   ${id}  ${error instanceof Error ? error.message : code}`)
    }
    settled.add(id)
  }

  async function answer(request: ConsoleState['requests'][number]): Promise<void> {
    const found = ruleFor(rules, request, clock.now())
    const about = `${request.id}  ${request.agent} for ${request.authority.task}`
    if (found === undefined) return say(`left      ${about}: no rule matches; sign in at the console to answer`)
    const { rule, number } = found
    if (rule.answer === 'deny') await approver.deny(request.id, rule.reason)
    const answered = rule.answer === 'deny' ? 'denied' : (await approver.approve(request.id)).status
    say(`${answered.padEnd(8)}  ${about} (rule ${number})`)
  }
}
