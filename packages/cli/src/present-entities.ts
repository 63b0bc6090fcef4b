import { approvalOperatorRoutes } from '@bailiwick/contracts/api'
import { z } from 'zod'
import { expectAnswer } from './expect-answer.ts'
import { type Lenience, lenienceSchema } from './lenience.ts'
import type { Operator } from './operator-client.ts'

const entitySchema = approvalOperatorRoutes.readRegistry.answer.shape.entities.element
const answerSchema = lenienceSchema.extend({
  entities: z.array(entitySchema.pick({ type: true, id: true, version: true, value: true })),
})

export type PresentEntity = z.output<typeof answerSchema>['entities'][number]

/** The current registry by type and name, without retired entities, and how else it can be changed. */
export async function presentRegistry(operator: Operator): Promise<{ present: PresentEntity[]; lenience: Lenience }> {
  const { entities, ...lenience } = expectAnswer(answerSchema, await operator.get('/operator/registry'))
  const present = entities
    .filter(({ value }) => value !== undefined && value !== null)
    .sort((a, b) => a.type.localeCompare(b.type) || a.id.localeCompare(b.id))
  return { present, lenience }
}
