import { appendFileSync } from 'node:fs'

/** What a fault of a chaos test is counted as; the subject follows: `SIGKILL issuer`. */
type Fault = 'SIGKILL' | 'SIGSTOP' | 'disk full'

/** Counts a fault that has just happened for `npm run nightly -- kills`. A run that fails later has counted it too. */
export function tally(fault: Fault, subject: string): void {
  const file = process.env.KILL_TALLY
  if (file !== undefined) appendFileSync(file, `${fault} ${subject}\n`)
}
