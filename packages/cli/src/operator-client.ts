import { existsSync, globSync } from 'node:fs'
import { join } from 'node:path'
import { errorCode, ServiceError } from '@bailiwick/errors'
import { paths } from '@bailiwick/installation'
import { type Answer, exchange, failingIn, refusalOf } from './operator-exchange.ts'
import { services } from './repository.ts'

export type PartService = (typeof services)[number]

/**
 * The services running on this machine, as seen by their operator: the 0600 Unix sockets in the data directory, so anyone who may open them
 * is the operator. They are standalone's, or those of separate services. Each call throws the service's own error if it refuses, and
 * `service_unready` if nothing answers.
 */
export interface Operator {
  /** The answer's JSON. */
  get(path: string): Promise<unknown>
  text(path: string): Promise<string>
  bytes(path: string): Promise<Uint8Array>
  /** If the answer is missing, it is unknown whether the change happened: `outcome_unknown`. */
  post(path: string, body: unknown): Promise<unknown>
  /** The failing readiness checks of the local services, with the reason of each; none: ready. */
  failing(): Promise<string[]>
}

/** The owner of each route if services run separately; the first match counts. */
const owners: readonly [prefix: string, service: PartService][] = [
  ['/operator/revocations', 'issuer'],
  ['/operator/recoveries', 'issuer'],
  ['/operator/keys', 'issuer'],
  ['/operator/join-tokens/issuer', 'issuer'],
  ['/operator/calls/', 'policy-decision'],
  ['/operator/points', 'policy-decision'],
  ['/operator/', 'approval'],
  ['/log/', 'evidence'],
  ['/v1/', 'evidence'],
]

export function operatorOf(data: string): Operator {
  const call = async (method: string, path: string, body?: string) => {
    const owner = owners.find(([prefix]) => path.startsWith(prefix))?.[1]
    const answer = await firstThatServes(socketsOf(data, owner), (socketPath) =>
      exchange({ socketPath }, method, path, body),
    )
    if (answer.status >= 200 && answer.status < 300) return answer.body
    throw refusalOf(answer)
  }
  return {
    get: async (path) => jsonOf(await call('GET', path)),
    text: async (path) => (await call('GET', path)).toString('utf8'),
    bytes: (path) => call('GET', path),
    post: async (path, body) => jsonOf(await call('POST', path, JSON.stringify(body))),
    async failing() {
      const parts = partsIn(data)
      if (parts.length === 0) return failingOn(socketsOf(data, undefined))
      const found = await Promise.all(
        parts.map(async (service) => {
          const failing = await failingOn(socketsOf(data, service)).catch((error) => [errorCode(error)])
          return failing.map((reason) => `${service}: ${reason}`)
        }),
      )
      return found.flat()
    },
  }
}

/** The sockets of standalone, or of every instance of a separate service on this machine. */
export function socketsOf(data: string, service: PartService | undefined): [string, ...string[]] {
  const { operatorSocket } = paths(data)
  if (service === undefined || !servicesRunByThemselves(data)) return [operatorSocket]
  const own = globSync(`${service}-*.sock`, { cwd: data }).map((name) => join(data, name))
  const [first = paths(data).serviceSocket(service, 0), ...others] = own.toSorted()
  return [first, ...others]
}

/**
 * The separate services that belong to this data directory: their keys or their sockets are in it. The others have data directories of
 * their own, as in containers. None: standalone, or nothing, runs here. `byThemselves`: whether services run separately at all, which their
 * sockets show only while they run.
 */
export function partsIn(data: string, byThemselves = servicesRunByThemselves(data)): PartService[] {
  if (!byThemselves) return []
  return services.filter(
    (service) => existsSync(paths(data).keys(service)) || globSync(`${service}-*.sock`, { cwd: data })[0] !== undefined,
  )
}

const servicesRunByThemselves = (data: string): boolean =>
  !existsSync(paths(data).operatorSocket) && services.some((service) => globSync(`${service}-*.sock`, { cwd: data })[0])

/** The answer of the first active instance that answers; otherwise the last one's answer. */
async function firstThatServes(
  [socket, ...others]: [string, ...string[]],
  ask: (socket: string) => Promise<Answer>,
): Promise<Answer> {
  const [next, ...rest] = others
  if (next === undefined) return ask(socket)
  const answer = await ask(socket).catch((error) => {
    if (errorCode(error) !== 'service_unready') throw error
    return undefined
  })
  return answer && answer.status !== 503 ? answer : firstThatServes([next, ...rest], ask)
}

async function failingOn(sockets: [string, ...string[]]): Promise<string[]> {
  return failingIn(await firstThatServes(sockets, (socketPath) => exchange({ socketPath }, 'GET', '/readyz')))
}

function jsonOf(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    throw new ServiceError('answer_malformed', 'the answer is not JSON')
  }
}
