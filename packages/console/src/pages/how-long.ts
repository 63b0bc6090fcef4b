import { duration } from '../ui/time.tsx'

/** How long a grant would last if it were approved now: the time runs from the ask, not from the answer. */
export function howLong({ not_before, not_after }: { not_before: string; not_after: string }, now: number): string {
  const [from, until] = [Date.parse(not_before), Date.parse(not_after)]
  const left = Math.max(0, until - Math.max(from, now))
  const whole = until - from
  const text = duration(Math.round(left / 1000))
  return whole - left < 60_000 ? text : `${text}, of ${duration(Math.round(whole / 1000))}`
}
