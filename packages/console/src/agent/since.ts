import type { Events } from '../types.ts'
import { isCall } from './calls.ts'

/** The decisions that evidence has since an agent was stopped. */
export interface Since {
  allowed: number
  /** Whether there are more of them. */
  moreAllowed: boolean
  denied: number
  moreDenied: boolean
}

type Page = Pick<Events, 'events' | 'next' | 'unread'>

const hasMore = ({ next, unread = [] }: Page) => next !== undefined || unread.length > 0

/** Counts the newest ALLOWs and the newest denials since the stop. */
export const sinceStop = (allowed: Page, denied: Page): Since => ({
  allowed: allowed.events.filter((event) => isCall(event) && event.outcome?.status !== 'taken_back').length,
  moreAllowed: hasMore(allowed),
  denied: denied.events.filter(isCall).length,
  moreDenied: hasMore(denied),
})

/** An ALLOW that was not read may have been a call, so nothing is then said of those. */
export function sinceText(since: Since | null): string {
  if (since === null) return 'not known: evidence does not answer'
  const { allowed, moreAllowed, denied, moreDenied } = since
  const least = (count: number, isLeast: boolean) => `${isLeast ? 'at least ' : ''}${count}`
  const calls =
    allowed > 0
      ? `${least(allowed, moreAllowed)} allowed`
      : moreAllowed
        ? 'whether a call was allowed is not known: not all was read'
        : 'no call was allowed'
  return `${calls}, ${least(denied, moreDenied)} denied`
}
