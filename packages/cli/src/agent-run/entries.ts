import { ServiceError } from '@bailiwick/errors'
import { variableOf } from './environment.ts'
import { siteUrl } from './proxy/sites.ts'

/** What the program may reach, as options name it: `NAME`, or `NAME=URL` for what it may call by the address that it knows. */
export interface EntryNames {
  mcp: readonly string[]
  http: readonly string[]
  git: readonly string[]
  ssh: readonly string[]
  postgres: readonly string[]
  session: readonly string[]
  openai?: string
  anthropic?: string
}

/** An entry of `gateway.yaml` that the program may reach. */
export interface Entry {
  readonly kind: 'mcp' | 'http' | 'git' | 'ssh' | 'postgres' | 'session' | 'models'
  readonly name: string
  /** Its path at the gateway, and here. */
  readonly path: string
  readonly variable: string
  /** What it stands for at the proxy. */
  readonly site?: { readonly origin: string; readonly path: string } | undefined
  /** The API of a provider of models. */
  readonly api?: 'openai' | 'anthropic'
}

/** Those that the program calls by an address of the proxy, if it knows one already. */
const haveSites: ReadonlySet<Entry['kind']> = new Set(['http', 'git', 'session', 'models'])

const nameForm = /^[a-z0-9][a-z0-9_-]{0,62}$/

/** Throws `config_invalid` for a name that no entry can have, for two with one variable, and for two that stand for one address. */
export function entriesOf({ mcp, http, git, ssh, postgres, session, openai, anthropic }: EntryNames): Entry[] {
  const entries = [
    ...mcp.map((name) => entryOf('mcp', '--mcp', name)),
    ...http.map((name) => entryOf('http', '--http', name)),
    ...git.map((name) => entryOf('git', '--git', name)),
    ...ssh.map((name) => entryOf('ssh', '--ssh', name)),
    ...postgres.map((name) => entryOf('postgres', '--postgres', name)),
    ...session.map((name) => entryOf('session', '--session', name)),
    ...(openai === undefined ? [] : [{ ...entryOf('models', '--openai', openai), api: 'openai' as const }]),
    ...(anthropic === undefined ? [] : [{ ...entryOf('models', '--anthropic', anthropic), api: 'anthropic' as const }]),
  ]
  if (entries.length === 0)
    throw new ServiceError(
      'config_invalid',
      'name what the program may reach: --mcp, --http, --git, --ssh, --postgres, --session, --openai, --anthropic',
    )
  const paths = new Map<string, string>()
  const variables = new Map<string, string>()
  for (const { variable, path, site } of entries) {
    if ((variables.get(variable) ?? path) !== path)
      throw new ServiceError('config_invalid', `${variable} would stand for two entries`)
    variables.set(variable, path)
    if (site === undefined) continue
    const url = `${site.origin}${site.path}`
    if ((paths.get(url) ?? path) !== path)
      throw new ServiceError('config_invalid', `two entries would stand for ${url}`)
    paths.set(url, path)
  }
  return entries
}

function entryOf(kind: Entry['kind'], option: string, given: string): Entry {
  const [name = '', url] = haveSites.has(kind) ? given.split(/=(.*)/s) : [given]
  if (!nameForm.test(name)) throw new ServiceError('config_invalid', `${name} is no name of an entry of gateway.yaml`)
  return {
    ...{ kind, name, path: `${kind}/${name}`, variable: variableOf(kind.toUpperCase(), name) },
    ...(url === undefined ? {} : { site: siteUrl(option, url) }),
  }
}
