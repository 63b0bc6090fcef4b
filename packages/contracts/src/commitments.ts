import { saltedHashSchema } from './primitives.ts'

/** The place in a decision that holds its call. */
export const callAt = '/action/call'

/** The place in a request that holds the text of its one exact action. */
export const argumentsAt = '/arguments'

/**
 * The places in event data where a value appears only as a salted hash (DESIGN §4), as JSON pointers, and the topic on which the service
 * that wrote the hash hands the value over. No hash anywhere else is a commitment: agents choose some of the content of events, and hashes
 * are not secret.
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
  /** The place in the event's data, as a JSON pointer: `/purpose`. */
  readonly at: Place
  readonly salted_sha256: string
}

/** The topic of attachments that brings the value. The same hash on another topic has no meaning here. */
export const attachmentTopicOf = ({ at }: Pick<Commitment, 'at'>): (typeof handedOverOn)[Place] => handedOverOn[at]

/** The values to which these data commit without containing them. */
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
