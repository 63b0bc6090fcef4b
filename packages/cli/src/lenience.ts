import { recoveryViewSchema, lenienceSchema as whole } from '@bailiwick/contracts/api'
import { z } from 'zod'

/** The service's report about ways around the usual governance; an older service does not give it. */
export const lenienceSchema = whole
  .extend({
    recoveries: z.array(recoveryViewSchema.pick({ id: true, approver_id: true, name: true, usable_from: true })),
  })
  .partial()
export type Lenience = z.output<typeof lenienceSchema>

/** For an installation of `bailiwick dev`. */
export const softwareApproverLine =
  'SOFTWARE APPROVER: a program approved here, and no person. This proves nothing about people.'

/** Warnings: a person who looks at the registry must not overlook how else it can be changed. */
export function lenienceLines({ single_operator, software_approver, recoveries = [] }: Lenience): string[] {
  return [
    ...(software_approver === true ? [softwareApproverLine] : []),
    ...(single_operator === true ? ['SINGLE OPERATOR: one person’s passkey changes everything here.'] : []),
    ...recoveries.map(
      ({ id, approver_id, name, usable_from }) =>
        `RECOVERY PENDING: ${id} makes ${name} (${approver_id}) an approver from ${usable_from} on, by a new passkey. ` +
        'If no approver asked for it, retire it.',
    ),
  ]
}
