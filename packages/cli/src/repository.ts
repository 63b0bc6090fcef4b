import { join } from 'node:path'

/** The checkout to which this command belongs: services are started from it. */
const repository = join(import.meta.dirname, '../../..')

export const services = ['approval', 'issuer', 'policy-decision', 'evidence'] as const
/** In front of MCP servers and HTTP APIs. It is not part of an installation: it asks a decision point over HTTP, as any enforcement point does. */
export const gateway = 'gateway'
export type Service = (typeof services)[number] | 'standalone' | typeof gateway

export const mainOf = (service: Service): string => join(repository, 'services', service, 'src/main.ts')

/** `serve policy-decision --plain`: a decision point by policies alone. */
export const plainMain = join(repository, 'services/plain-pdp/src/main.ts')

/** `bailiwick gateway pin` */
export const gatewayPin = join(repository, 'services/gateway/src/pin/main.ts')

/** `bailiwick gateway operations` */
export const gatewayOperations = join(repository, 'services/gateway/src/openapi/main.ts')

/** `bailiwick gateway add` and `diff`: reads a server of tools, as the gateway would. */
export const gatewayPlan = join(repository, 'services/gateway/src/add/main.ts')

/** `bailiwick dev`: standalone with a software approver. */
export const devMain = join(repository, 'services/standalone/src/dev/main.ts')

export const defaultPolicies = join(repository, 'policies')

export const bench = join(repository, 'test/bench/main.ts')

/** `bench log`: separate, because it needs little of what the others do. */
export const benchLog = join(repository, 'test/bench/log-main.ts')
