import type { RootDatabase } from 'lmdb'
import { type ActivityHour, type Key, keyOf, type Value } from './index-format.ts'
import type { Answer } from './leaf-facts.ts'

export const hourMs = 3_600_000

/** How many entries one picture reads, at most. */
const mostRead = 50_000

/** Values by their keys. */
export interface Values {
  get(key: Key): Value | undefined
  put(key: Key, value: Value): void
}

/** Counts the answers that one event reports. Call it within a transaction. */
export function countAnswers(db: Values, at: number, answers: readonly Answer[]): void {
  const hour = Math.floor(at / hourMs)
  for (const { agent, verdict, count } of answers) {
    const key: Key = ['hour', hour, keyOf(agent)]
    const known = (db.get(key) as ActivityHour | undefined) ?? { agent, hour, allowed: 0, denied: 0 }
    db.put(key, { ...known, [verdict]: known[verdict] + count })
  }
}

/** The activity per hour, newest first. */
export function hoursBetween(db: RootDatabase<Value, Key>, from: number, to: number): ActivityHour[] {
  const start: Key = ['hour', Math.floor(to / hourMs), '~']
  const end: Key = ['hour', Math.floor(from / hourMs), ' ']
  return [...db.getRange({ start, end, reverse: true, limit: mostRead })].map(({ value }) => value as ActivityHour)
}
