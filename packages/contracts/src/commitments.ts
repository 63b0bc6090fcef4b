import { saltedHashSchema } from './primitives.ts'

/** Where a decision holds its call. */
export const callAt = '/action/call'

/** Where an ask holds the text of its one exact action. */
export const argumentsAt = '/arguments'

/**
 * Where in their data events hold a value as a salted hash alone (DESIGN §4), as JSON pointers, and where the service that wrote
 * it hands it over. Nowhere else is a hash a commitment: agents choose some of what events hold, and hashes are no secret.
 */
const handedOverOn = {
  '/purpose': 'attachments.approval.v1',
  '/reason': 'attachments.approval.v1',
  [argumentsAt]: 'attachments.approval.v1',
  [callAt]: 'attachments.policy-decision.v1',
} as const

type Place = keyof typeof handedOverOn
const places = Object.keys(handedOverOn) as readonly Place[]

/** A value that an event holds only as a salted hash. */
export interface Commitment {
  /** Where in the event's data, as a JSON pointer: `/purpose`. */
  readonly at: Place
  readonly salted_sha256: string
}

/** The topic of attachments that brings the value. The same hash on another one stands for nothing here. */
export const attachmentTopicOf = ({ at }: Pick<Commitment, 'at'>): (typeof handedOverOn)[Place] => handedOverOn[at]

/** What these data commit to without saying it. */
export function commitmentsIn(data: unknown): Commitment[] {
  return places.flatMap((at) => {
    const held = at
      .slice(1)
      .split('/')
      .reduce<unknown>((within, member) => Object(within)[member], data)
    const { success, data: hash } = saltedHashSchema.safeParse(held)
    return success ? [{ at, ...hash }] : []
  })
}
