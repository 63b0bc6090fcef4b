import type { Agent } from '@bailiwick/agent'
import {
  type LocalPlace,
  listenPlaces,
  listenPostgres,
  mcpPlace,
  openSidecar,
  type PostgresListener,
  relayPlace,
} from '@bailiwick/agent/sidecar'
import type { Io } from '../io.ts'
import type { Entry } from './entries.ts'
import { databaseEnvironment, placeholderKey } from './environment.ts'
import type { OwnNetwork } from './own-network.ts'
import { openProxy } from './proxy/open-proxy.ts'
import type { Site } from './proxy/sites.ts'
import type { RunGrants } from './run-grants.ts'

export interface PlacesOptions {
  agent: Agent
  gateway: string
  grants: RunGrants
  publicUrl: string
  holdSeconds: number
  /** Programs of this user alone are answered, where the system says whose a connection is. */
  user: number | undefined
  /** Of the program, if it has not that of this machine. */
  network?: OwnNetwork | undefined
  io: Pick<Io, 'random' | 'err' | 'clock'>
}

/** What of a request is read, at most: what the gateway reads, and for git what one push may have here. */
const most = {
  ...{ http: 1024 * 1024, session: 1024 * 1024, models: 16 * 1024 * 1024, git: 64 * 1024 * 1024 },
  ...{ ssh: 8 * 1024, postgres: 0 },
}

/** Serves the entries of the gateway on this machine, under the grants of a run. `env`: what a program needs to find them. */
export async function openPlaces(
  entries: readonly Entry[],
  { agent, gateway, grants, publicUrl, holdSeconds, user, network, io }: PlacesOptions,
): Promise<{ env: Record<string, string> } & AsyncDisposable> {
  await using opening = new AsyncDisposableStack()
  const report = (line: string) => io.err(`bailiwick: ${line}`)
  const placeOf = (entry: Entry): LocalPlace => {
    const { kind, name, path } = entry
    if (kind === 'mcp') {
      const standing = grants.live
      const onCompleting = (grantId: string, completion: Promise<void>) => grants.completing(grantId, completion)
      const more = { publicUrl, standing, holdSeconds, onCompleting, report, random: io.random }
      return mcpPlace(opening.use(openSidecar({ agent, gateway, server: name, ...more })))
    }
    const patience = kind === 'models' ? { patienceMs: 0 } : {}
    const address = `${gateway}/${path}`
    return relayPlace({ agent, address, grants: () => grants.for(entry), mostBytes: most[kind], ...patience })
  }
  /** Clients of PostgreSQL speak no HTTP, so each database has a port of its own. */
  const databaseOf = async (entry: Entry): Promise<[Entry, PostgresListener]> => {
    const address = `${gateway}/${entry.path}`
    const listener = await listenPostgres({ agent, address, grants: () => grants.for(entry), random: io.random, user })
    opening.use(listener)
    await network?.serve(listener.port, listener.accept)
    return [entry, listener]
  }
  const isDatabase = ({ kind }: Entry) => kind === 'postgres'
  const overHttp = entries.filter((entry) => !isDatabase(entry))
  const places = new Map(overHttp.map((entry) => [entry.path, placeOf(entry)]))
  const { url, accept } = opening.use(await listenPlaces(places, { random: io.random, user }))
  await network?.serve(Number(new URL(url).port), accept)
  const databases = await Promise.all(entries.filter(isDatabase).map(databaseOf))
  const sites = overHttp.flatMap(({ site, path }): Site[] => {
    const place = places.get(path)
    return site === undefined || place === undefined ? [] : [{ ...site, place }]
  })
  const proxy = sites.length === 0 ? undefined : opening.use(await openProxy(sites, { io, user, network, report }))
  const owned = opening.move()
  return {
    env: {
      ...Object.fromEntries(overHttp.map(({ variable, path }) => [variable, `${url}/${path}`])),
      ...Object.fromEntries(databases.map(([{ variable }, listener]) => [variable, listener.url])),
      ...databaseEnvironment(databases.map(([, listener]) => listener)),
      ...Object.assign({}, ...entries.map((entry) => modelEnvironment(url, entry))),
      ...proxy?.env,
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** What the SDKs of providers read. */
function modelEnvironment(url: string, { api, path }: Entry): Record<string, string> {
  if (api === 'openai') return { OPENAI_BASE_URL: `${url}/${path}/v1`, OPENAI_API_KEY: placeholderKey }
  if (api === 'anthropic') return { ANTHROPIC_BASE_URL: `${url}/${path}`, ANTHROPIC_API_KEY: placeholderKey }
  return {}
}
