import { z } from 'zod'

/** What the operator is told of the ways around the usual governance; absent from a service that is older. */
export const lenienceSchema = z.object({
  single_operator: z.boolean().optional(),
  recoveries: z
    .array(z.object({ id: z.string(), approver_id: z.string(), name: z.string(), usable_from: z.string() }))
    .optional(),
})
export type Lenience = z.output<typeof lenienceSchema>

/** Loud lines: whoever looks at the registry must not overlook how else it can be changed. */
export function lenienceLines({ single_operator, recoveries = [] }: Lenience): string[] {
  return [
    ...(single_operator === true ? ['SINGLE OPERATOR: one person’s passkey changes everything here.'] : []),
    ...recoveries.map(
      ({ id, approver_id, name, usable_from }) =>
        `RECOVERY PENDING: ${id} makes ${name} (${approver_id}) an approver from ${usable_from} on, by a new passkey. ` +
        'If nobody asked for it: retire it.',
    ),
  ]
}
