export { openBus, openGrantStore } from './adapters.ts'
export { type Adapters, type CommonConfig, type Host, type HostOptions, openHost, type Watched } from './open-host.ts'
export { type Process, runService } from './run-service.ts'
export { topicSettings } from './topic-settings.ts'
