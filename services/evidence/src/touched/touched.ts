import { formatMicros, parseMicros } from '@bailiwick/authority'
import type { RootDatabase } from 'lmdb'
import { hourMs, type Values } from '../index/activity.ts'
import { type CallRecord, type Key, keyOf, type TouchedHour, type Value } from '../index/index-format.ts'
import type { Cost, Touch } from './touch-of.ts'

/** How many rows one answer reads, at most. An agent chooses how many resources it asks for. */
export const mostTouchedRead = 10_000

/** Counts a decision, or how it ended. Call it within a transaction. */
export function countTouch(values: Values, at: number, touch: Touch): void {
  if (touch.verdict === 'allowed' || touch.verdict === 'denied') begin(values, at, touch)
  else end(values, at, touch)
}

function end(values: Values, at: number, touch: Exclude<Touch, { agents: unknown }>): void {
  const key: Key = ['call', keyOf(touch.decisionId)]
  const call = values.get(key) as CallRecord | undefined
  if (call === undefined || call.status !== undefined) return
  const isTakenBack = touch.verdict === 'taken_back'
  const released = isTakenBack ? call.cost : givenBack(call.cost, touch.released)
  const status = isTakenBack ? 'taken_back' : touch.status
  values.put(key, { ...call, status, endedAt: at, cost: sum(call.cost, released, -1n) })
  for (const [agentHash, thingHash] of call.rows) {
    const rowKey: Key = ['touched', agentHash, call.hour, thingHash]
    const row = values.get(rowKey) as TouchedHour | undefined
    if (row === undefined) continue
    values.put(rowKey, {
      ...row,
      allowed: row.allowed - (isTakenBack && !call.continues ? 1 : 0),
      cost: row.mapped ? row.cost : sum(row.cost, released, -1n),
      outcomes: more(row.outcomes, status, 1),
    })
  }
}

function begin(values: Values, at: number, touch: Extract<Touch, { agents: unknown }>): void {
  const hour = Math.floor(at / hourMs)
  const rows: [string, string][] = []
  const [actor = '', ...others] = touch.agents
  for (const agent of new Set([actor, ...others]))
    for (const thing of touch.things) {
      const who = agent === actor ? {} : { through: actor }
      const { action, type, resource, mapped } = thing
      const name: [string, string] = [
        keyOf(agent),
        keyOf(JSON.stringify([action, type, resource, mapped, who.through])),
      ]
      rows.push(name)
      const key: Key = ['touched', name[0], hour, name[1]]
      const row = (values.get(key) as TouchedHour | undefined) ?? none({ ...who, ...thing, agent, hour })
      values.put(key, { ...row, ...counted(row, touch, mapped === true), last: Math.max(row.last, at) })
    }
  if (touch.verdict !== 'allowed') return
  const { decisionId, cost, continues } = touch
  const key: Key = ['call', keyOf(decisionId)]
  if (values.get(key) === undefined) values.put(key, { hour, rows, cost, ...(continues ? { continues } : {}) })
}

const none = (row: Pick<TouchedHour, 'agent' | 'hour'>): TouchedHour => ({
  ...row,
  ...{ allowed: 0, denied: 0, reasons: {}, outcomes: {}, cost: {}, last: 0 },
})

function counted(row: TouchedHour, touch: Extract<Touch, { agents: unknown }>, isMapped: boolean) {
  if (touch.verdict === 'denied')
    return { denied: row.denied + touch.count, reasons: more(row.reasons, touch.reason, touch.count) }
  return {
    allowed: row.allowed + (touch.continues ? 0 : 1),
    // The money is taken for the call, once.
    cost: isMapped ? row.cost : sum(row.cost, touch.cost, 1n),
  }
}

/** The rows of one agent between two times, ms since the epoch, newest hour first. */
export function touchedBetween(
  db: RootDatabase<Value, Key>,
  agent: string,
  { from, to }: { from: number; to: number },
  limit = mostTouchedRead,
): TouchedHour[] {
  const start: Key = ['touched', keyOf(agent), Math.floor(to / hourMs), '~']
  const end: Key = ['touched', keyOf(agent), Math.floor(from / hourMs), ' ']
  return [...db.getRange({ start, end, reverse: true, limit })].map(({ value }) => value as TouchedHour)
}

/** An outcome that gives back more than was taken gives nothing back, as in every ledger. */
const givenBack = (taken: Cost, released: Cost): Cost =>
  Object.entries(released).every(([currency, amount]) => micros(amount) <= micros(taken[currency])) ? released : {}

export function sum(one: Cost, other: Cost, sign: bigint): Cost {
  const all: Record<string, string> = { ...one }
  for (const [currency, amount] of Object.entries(other))
    all[currency] = formatMicros(micros(all[currency]) + sign * micros(amount))
  return Object.fromEntries(Object.entries(all).filter(([, amount]) => micros(amount) !== 0n))
}

const micros = (amount: string | undefined): bigint => (amount === undefined ? 0n : (parseMicros(amount) ?? 0n))

export const more = (counts: Readonly<Record<string, number>>, name: string, by: number): Record<string, number> => ({
  ...counts,
  [name]: (Object.hasOwn(counts, name) ? (counts[name] ?? 0) : 0) + by,
})
