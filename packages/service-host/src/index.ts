export { type Adapters, type CommonConfig, type Host, type HostOptions, openHost } from './open-host.ts'
export { embeddedOnly, type Process, runService } from './run-service.ts'
export { topicSettings } from './topic-settings.ts'
