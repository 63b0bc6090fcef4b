import type { Rule } from '@bailiwick/contracts'
import type { PolicyFiles } from '@bailiwick/installation'
import { sample } from '@bailiwick/standalone/sample'
import type { PlaceOptions } from '@bailiwick/testkit'

export const tool = (name: string) => ({ type: 'tool', id: `${sample.toolServer}/${name}` })
export const fresh = { reattest_seconds: 600, outcome_seconds: 60 }

/** Adjusting wants a human's word each time. */
export const asksForWrites = (starter: PolicyFiles): PolicyFiles =>
  new Map([
    ...starter,
    [
      'asks.cedar',
      Buffer.from(
        '@id("asks") @step_up("money moves") forbid (principal is agent, action == Action::"tools/call", resource is tool) when { resource.labels.contains("writes") };',
      ),
    ],
  ])

/** Besides, deleting has a rule of its own, and what is not, may stay open while it is proven. */
export const asking = {
  policies: asksForWrites,
  entities(entities) {
    const tasks = entities.find(({ value }) => value.id === 'tasks')?.value as Rule
    return [
      ...entities.filter(({ value }) => value.id !== 'tasks'),
      { type: 'rule', value: { ...tasks, modes: ['window', 'continuous'], continuous: fresh } },
      { type: 'rule', value: { ...tasks, id: 'deleting', order: 1, match: { resources: [tool('delete')] } } },
    ]
  },
} satisfies PlaceOptions
