import type { Rule } from '@bailiwick/contracts'
import type { PolicyFiles } from '@bailiwick/installation'
import { sample } from '@bailiwick/standalone/sample'
import type { PlaceOptions } from '@bailiwick/testkit'

export const tool = (name: string) => ({ type: 'tool', id: `${sample.toolServer}/${name}` })
export const fresh = { reattest_seconds: 600, outcome_seconds: 60 }

/** Each call of `adjust` needs a human's approval. */
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

/** In addition, `delete` has a rule of its own, and other grants may stay open while their workload is attested. */
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
