import { existsSync } from 'node:fs'
import { extname, join } from 'node:path'
import { ServiceError } from '@bailiwick/errors'

/**
 * The checkout to which this command belongs, or the folder of the published package, which has the same files at the same places, compiled
 * (scripts/pack). Services are started from it.
 */
const repository = join(import.meta.dirname, '../../..')
const main = `main${extname(import.meta.filename)}`

/** This command, as another program can start it from any folder. */
export const thisCommand = [process.execPath, join(import.meta.dirname, main)] as const

export const services = ['approval', 'issuer', 'policy-decision', 'evidence'] as const
/** In front of MCP servers and HTTP APIs. It is not part of an installation: it asks a decision point over HTTP, as any enforcement point does. */
export const gateway = 'gateway'
export type Service = (typeof services)[number] | 'standalone' | typeof gateway

export const mainOf = (service: Service): string => join(repository, 'services', service, 'src', main)

/** `serve policy-decision --plain`: a decision point by policies alone. */
export const plainMain = join(repository, 'services/plain-pdp/src', main)

/** `bailiwick gateway pin` */
export const gatewayPin = join(repository, 'services/gateway/src/pin', main)

/** `bailiwick gateway operations` */
export const gatewayOperations = join(repository, 'services/gateway/src/openapi', main)

/** `bailiwick gateway record-login` */
export const gatewayRecord = join(repository, 'services/gateway/src/record', main)

/** `bailiwick gateway add` and `diff`: reads a server of tools, as the gateway would. */
export const gatewayPlan = join(repository, 'services/gateway/src/add', main)

/** `bailiwick gateway inventory` */
export const gatewayInventory = join(repository, 'services/gateway/src/inventory', main)

/** `bailiwick dev`: standalone with a software approver. */
export const devMain = join(repository, 'services/standalone/src/dev', main)

export const defaultPolicies = join(repository, 'policies')

/** `bench`, or `bench log`, which needs little of what the others do. Throws `config_invalid` where there is no checkout. */
export function benchMain(name: 'main' | 'log-main'): string {
  const path = join(repository, 'test/bench', `${name}.ts`)
  if (!existsSync(path)) throw new ServiceError('config_invalid', 'bench runs in a checkout of the repository')
  return path
}
