import type { Agent } from '@bailiwick/agent'
import { type LocalPlace, listenPlaces, mcpPlace, openSidecar, relayPlace } from '@bailiwick/agent/sidecar'
import { ServiceError } from '@bailiwick/errors'
import type { Io } from '../io.ts'
import { placeholderKey, variableOf } from './environment.ts'

export interface PlaceNames {
  mcp: readonly string[]
  http: readonly string[]
  openai?: string
  anthropic?: string
}

export interface PlacesOptions {
  agent: Agent
  gateway: string
  grantId: string
  publicUrl: string
  holdSeconds: number
  /** Called when the program itself ends a task. `completion` rejects if it could not be. */
  onCompleting: (grantId: string, completion: Promise<void>) => void
  io: Pick<Io, 'random' | 'err'>
}

const nameForm = /^[a-z0-9][a-z0-9_-]{0,62}$/
/** What the gateway reads of a request. */
const most = { http: 1024 * 1024, models: 16 * 1024 * 1024 }

/** The variable of each place, and its path here and at the gateway. Throws `config_invalid` for a name that no entry can have, and for two alike. */
export function variablesOf({ mcp, http, openai, anthropic }: PlaceNames): Map<string, string> {
  const named = [
    ...mcp.map((name) => ['MCP', name, `mcp/${name}`] as const),
    ...http.map((name) => ['HTTP', name, `http/${name}`] as const),
    ...[openai, anthropic].flatMap((name) => (name === undefined ? [] : [['MODELS', name, `models/${name}`] as const])),
  ]
  if (named.length === 0)
    throw new ServiceError('config_invalid', 'name what the program may reach: --mcp, --http, --openai, --anthropic')
  const variables = new Map<string, string>()
  for (const [kind, name, path] of named) {
    if (!nameForm.test(name)) throw new ServiceError('config_invalid', `${name} is no name of an entry of gateway.yaml`)
    const variable = variableOf(kind, name)
    if ((variables.get(variable) ?? path) !== path)
      throw new ServiceError('config_invalid', `${variable} would stand for two entries`)
    variables.set(variable, path)
  }
  return variables
}

/** Serves the entries of the gateway on this machine, under one grant. `env`: what a program needs to find them. */
export async function openPlaces(
  names: PlaceNames,
  { agent, gateway, grantId, publicUrl, holdSeconds, onCompleting, io }: PlacesOptions,
): Promise<{ env: Record<string, string> } & AsyncDisposable> {
  const variables = variablesOf(names)
  await using opening = new AsyncDisposableStack()
  const report = (line: string) => io.err(`bailiwick: ${line}`)
  const sidecar = (server: string): LocalPlace =>
    mcpPlace(
      opening.use(
        openSidecar({
          ...{ agent, gateway, server, publicUrl, grantId, holdSeconds, onCompleting, report },
          random: io.random,
        }),
      ),
    )
  const relay = (path: string, more: { patienceMs?: number; mostBytes: number }): LocalPlace =>
    relayPlace({ agent, address: `${gateway}/${path}`, grantId, ...more })
  const placeAt = (path: string): LocalPlace => {
    const [kind, name = ''] = path.split('/')
    if (kind === 'mcp') return sidecar(name)
    return relay(path, kind === 'models' ? { patienceMs: 0, mostBytes: most.models } : { mostBytes: most.http })
  }
  const places = new Map([...variables.values()].map((path) => [path, placeAt(path)]))
  const { url } = opening.use(await listenPlaces(places, { random: io.random }))
  const owned = opening.move()
  return {
    env: {
      ...Object.fromEntries([...variables].map(([variable, path]) => [variable, `${url}/${path}`])),
      ...(names.openai === undefined
        ? {}
        : { OPENAI_BASE_URL: `${url}/models/${names.openai}/v1`, OPENAI_API_KEY: placeholderKey }),
      ...(names.anthropic === undefined
        ? {}
        : { ANTHROPIC_BASE_URL: `${url}/models/${names.anthropic}`, ANTHROPIC_API_KEY: placeholderKey }),
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
