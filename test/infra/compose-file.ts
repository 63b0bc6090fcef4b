import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

export const repository = join(import.meta.dirname, '../..')

export interface ComposeService {
  image?: string
  build?: string
  command?: string[]
  entrypoint?: string[]
  environment?: Record<string, string>
  /** All in the short form, including those that the file has in the long form. */
  volumes?: string[]
  networks?: string[]
  ports?: string[]
  profiles?: string[]
  depends_on?: string[] | Record<string, { condition: string }>
  read_only?: boolean
  cap_drop?: string[]
  cap_add?: string[]
  security_opt?: string[]
  mem_limit?: string
  pids_limit?: number
  privileged?: boolean
  healthcheck?: { disable?: boolean; test?: string[] }
}

export interface Compose {
  services: Record<string, ComposeService>
  volumes: Record<string, unknown>
  networks: Record<string, { internal?: boolean } | null>
}

interface Yaml {
  parse(text: string, options: { merge: boolean; maxAliasCount?: number }): unknown
  parseAllDocuments(text: string): { toJS(): unknown }[]
}
// The CLI's YAML parser: the root has none of its own.
const { parse, parseAllDocuments }: Yaml = createRequire(join(repository, 'packages/cli/package.json'))('yaml')

/** A YAML file of the repository, with merge keys merged, and as many aliases as it wants. */
export function readYaml<T>(path: string): T {
  return parse(readFileSync(join(repository, path), 'utf8'), { merge: true, maxAliasCount: -1 }) as T
}

/** The documents of a text, without empty ones. */
export function readYamlDocuments<T>(text: string): T[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS())
    .filter((each) => each !== null) as T[]
}

/** docker-compose.yml as `docker compose config` shows it: merged, variables replaced by their defaults. */
export function readCompose(): Compose {
  const text = readFileSync(join(repository, 'docker-compose.yml'), 'utf8')
  const interpolated = text.replaceAll(/\$\{[A-Z_]+(?::?-)([^}]*)\}/g, (_, value: string) => value)
  const compose = parse(interpolated, { merge: true }) as Compose
  for (const service of Object.values(compose.services))
    if (service.volumes) service.volumes = service.volumes.map(shortForm)
  return compose
}

const shortForm = (volume: string | { source: string; target: string; read_only?: boolean }): string =>
  typeof volume === 'string' ? volume : `${volume.source}:${volume.target}${volume.read_only ? ':ro' : ''}`

/** The services of the file that are ours, with the service that each runs. */
export function servesOf(compose: Compose): [name: string, service: ComposeService, serves: string][] {
  return Object.entries(compose.services).flatMap(([name, service]) =>
    service.command?.[0] === 'serve' && !service.profiles
      ? [[name, service, service.command[1] ?? 'standalone'] as const]
      : [],
  ) as [string, ComposeService, string][]
}
