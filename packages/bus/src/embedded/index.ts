export { type EmbeddedBusOptions, embeddedBus } from './embedded-bus.ts'
