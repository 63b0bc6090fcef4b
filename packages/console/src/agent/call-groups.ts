import { shortAgent } from '../pages/evidence-search.tsx'
import type { EventRow } from '../types.ts'
import { argumentsText, resultOf } from './calls.ts'

/** The ways to group calls, each with its label. */
export const groupings = {
  '': 'One list',
  tool: 'By tool',
  task: 'By task',
  agent: 'By agent',
  result: 'By result',
} as const
export type Grouping = keyof typeof groupings

export const groupingOf = (text: string | undefined): Grouping =>
  text !== undefined && Object.hasOwn(groupings, text) ? (text as Grouping) : ''

const nameBy: Record<Exclude<Grouping, ''>, (call: EventRow) => string> = {
  tool: ({ resource, action }) => resource ?? action ?? 'no tool',
  task: ({ task }) => task ?? 'no task',
  agent: ({ agent }) => (agent === undefined ? 'no agent' : shortAgent(agent)),
  result: (call) => resultOf(call)[0],
}

export interface CallGroup {
  name: string
  calls: EventRow[]
  denied: number
}

/** The calls by what they have in common, the largest group first. */
export function groupsOf(calls: readonly EventRow[], by: Exclude<Grouping, ''>): CallGroup[] {
  return [...Map.groupBy(calls, nameBy[by])]
    .map(([name, of]) => ({ name, calls: of, denied: of.filter(({ type }) => type === 'decision.denied').length }))
    .sort((a, b) => b.calls.length - a.calls.length)
}

/** Whether the line of a call has every word of a search. */
export function isFound(call: EventRow, search: string): boolean {
  const { resource, action, task, agent, reason } = call
  const text = [resource, action, task, agent, reason, argumentsText(call.arguments), resultOf(call)[0]]
  const line = text.filter(Boolean).join(' ').toLowerCase()
  return search
    .toLowerCase()
    .split(/\s+/)
    .every((word) => line.includes(word))
}
