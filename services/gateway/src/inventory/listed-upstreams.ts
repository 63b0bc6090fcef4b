import { secretsIn, type Template } from '@bailiwick/relay'
import type { GatewayFile } from '../gateway-file.ts'
import { secretInField } from '../plain-secret.ts'

/** An upstream of the gateway, as far as an inventory of secrets needs to know it. */
export interface ListedUpstream {
  kind: 'mcp' | 'http' | 'git' | 'session' | 'ssh' | 'models' | 'postgres' | 'authorize'
  name: string
  /** Its name in the registry. */
  server: string
  address: string
  /** Texts by which another program's configuration names it. */
  names: readonly string[]
  /** Where it listens, if it does. */
  listens?: { host: string; port: number }
  /** The references of its entry, and the member of `gateway.yaml` that each stands in. */
  secrets: readonly { member: string; reference: string }[]
  /** Members with a secret that is written out. */
  writtenOut: readonly string[]
}

type Members = Readonly<Record<string, Template>>

export function listedUpstreams(file: GatewayFile): ListedUpstream[] {
  return [
    ...each('mcp', file.mcp, (entry) => {
      if ('url' in entry) return { ...atUrl(entry.url), ...fields('inject.headers', entry.inject.headers) }
      const [program = '', ...args] = entry.command
      const said = [program, ...args].filter((part) => !part.startsWith('-') && part.length >= leastName)
      // The script or the package, not the interpreter that many servers share.
      const names = said.length > 1 ? said.slice(1) : said
      return { address: `stdio: ${entry.command.join(' ')}`, names, ...fields('env', entry.env) }
    }),
    ...each('http', file.http, (entry) => ({ ...atUrl(entry.url), ...fields('inject.headers', entry.inject.headers) })),
    ...each('git', file.git, (entry) => ({ ...atUrl(entry.url), ...fields('inject.headers', entry.inject.headers) })),
    ...each('session', file.session, (entry) => ({
      ...atUrl(entry.url),
      ...fields('login.fields', entry.login.fields),
    })),
    ...each('models', file.models, (entry) => ({
      ...atUrl(entry.url),
      ...fields('inject.headers', entry.inject.headers ?? {}),
    })),
    ...each('postgres', file.postgres, ({ host, port, database, broker }) => ({
      address: `postgresql://${host.includes(':') ? `[${host}]` : host}:${port}/${database}`,
      names: [isLocal(host) ? `${host}:${port}` : host],
      listens: { host, port },
      ...fields('broker', { password: broker.password }),
    })),
    ...each('ssh', file.ssh, ({ hosts, ca }) => ({
      address: `ssh: ${hosts.join(', ')}`,
      names: hosts,
      ...fields('', { ca }),
    })),
    // Another program sends these on. Its secret lets that program ask, and opens nothing at the API.
    ...each('authorize', file.authorize, ({ url }) => ({ ...atUrl(url), ...fields('', {}) })),
  ]
}

/** A shorter text would be found by chance. */
const leastName = 5

function each<E extends { server?: string | undefined }>(
  kind: ListedUpstream['kind'],
  entries: Readonly<Record<string, E>>,
  of: (entry: E) => Omit<ListedUpstream, 'kind' | 'name' | 'server'>,
): ListedUpstream[] {
  return Object.entries(entries).map(([name, entry]) => ({ kind, name, server: entry.server ?? name, ...of(entry) }))
}

function atUrl(href: string) {
  const { hostname, host, port, protocol } = new URL(href)
  const plain = hostname.replace(/^\[|\]$/g, '')
  const number = port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port)
  return {
    address: href,
    names: [isLocal(plain) ? host : hostname],
    listens: { host: plain, port: number },
  }
}

const isLocal = (host: string): boolean => /^(localhost|127\..*|::1)$/.test(host)

function fields(member: string, members: Members): Pick<ListedUpstream, 'secrets' | 'writtenOut'> {
  const at = (name: string) => (member === '' ? name : `${member}.${name}`)
  const all = Object.entries(members)
  return {
    secrets: all.flatMap(([name, template]) =>
      secretsIn(template).map((reference) => ({ member: at(name), reference })),
    ),
    writtenOut: all.flatMap(([name, template]) =>
      secretsIn(template).length === 0 && secretInField(name, template.join('')) ? [at(name)] : [],
    ),
  }
}
