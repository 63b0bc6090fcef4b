export * from './events.ts'
export { eventOfSize, type InvalidEvent, invalidEvents } from './invalid.ts'
export type { ExamplesOf } from './shape.ts'
