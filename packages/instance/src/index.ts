export type { OnKeyMissing } from './follow-keys.ts'
export { type HeadPublisher, publishHeads } from './head-publisher.ts'
export {
  openParticipant,
  openSuccessor,
  type Participant,
  type ParticipantOptions,
  type Successor,
  type Voice,
} from './participant.ts'
export { type Draft, Producer, type ProducerOptions, type Published } from './producer.ts'
export { Projection, type ProjectionOptions, type Time } from './projection.ts'
export type { Standing } from './succession.ts'
