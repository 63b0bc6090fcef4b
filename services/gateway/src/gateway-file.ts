import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { ServiceError } from '@bailiwick/errors'
import { type Fault, schemaFaults } from '@bailiwick/host'
import { parseDocument } from 'yaml'
import { z } from 'zod'
import { authorizeEntry } from './authorize/authorize-entry.ts'
import { address, headers, injectedHeaders, serverId, serverName, template } from './file-members.ts'
import { gitEntry } from './git/git-entry.ts'
import { modelsEntrySchema } from './models/models-entry.ts'
import { secretInCommand } from './plain-secret.ts'
import { databaseEntry } from './postgres/database-entry.ts'
import { apiEntry } from './proxy/api-entry.ts'
import { sessionEntry } from './session/session-entry.ts'
import { sshEntry } from './ssh/ssh-entry.ts'

const common = {
  /** The tool server's name in the registry; the name of this entry if left out. */
  server: serverId.optional(),
  /** How a denial of `tools/call` is answered: as an error of JSON-RPC, or as a result with `isError`, which the model sees. */
  denials: z.enum(['error', 'result']).default('error'),
  /** The one revision that the server speaks. A client of the other is served by a mapping; without this, it must speak the server's own. */
  speaks: z.enum(['2025-11-25', '2026-07-28']).optional(),
  /** The file with the descriptions that people approved, which `bailiwick gateway pin` writes. */
  pin: z.string().min(1).optional(),
}
const command = z
  .array(z.string().min(1).max(4096))
  .min(1)
  .max(64)
  .superRefine((parts, context) => {
    const at = secretInCommand(parts)
    if (at !== undefined)
      context.addIssue(`argument ${at} looks like a secret, and people sign the command: use env with \${secret:…}`)
  })
const httpServer = z.strictObject({
  url: address,
  /** Whether the name in the address may lead to private addresses, as in a cluster. An address itself may. */
  private: z.boolean().default(false),
  inject: injectedHeaders,
  ...common,
})
const stdioServer = z.strictObject({
  command,
  env: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'expected the name of a variable'), template).default({}),
  cwd: z.string().min(1).optional(),
  /** What the server writes to its standard error: thrown away, or logged up to a bound. */
  stderr: z.enum(['drop', 'log']).default('drop'),
  /** How many processes one agent may have under one grant at the same time. */
  processes: z.int().min(1).max(64).default(4),
  ...common,
})

const fileSchema = z.strictObject({
  /** This enforcement point's name in the registry. */
  point: z.string().min(1).max(128).default('gateway'),
  /** The folder of its two key files, as `bailiwick keys point` wrote them. */
  keys: z.string().min(1).default('keys'),
  /** `trust.json`; the one of the data directory if left out. */
  trust: z.string().min(1).optional(),
  /** The decision point; the installation's public address if left out. */
  decision_point: address.optional(),
  /** What one agent may have at the same time: all of its instances, under all grants, at all servers. */
  each_agent: z
    .strictObject({
      /** Answers that are made or flow. */
      streams: z.int().min(1).max(100_000).default(256),
      /** Processes of servers with a command. */
      processes: z.int().min(1).max(10_000).default(32),
      /** Conversations with servers over HTTP. */
      sessions: z.int().min(1).max(10_000).default(256),
    })
    .prefault({}),
  /** Web pages that may call the gateway, by origin. */
  origins: z.array(z.string().max(512)).max(64).default([]),
  mcp: z.record(serverName, z.union([httpServer, stdioServer])).default({}),
  http: z.record(serverName, apiEntry).default({}),
  /** Servers of git repositories, by name. */
  git: z.record(serverName, gitEntry).default({}),
  /** Web applications in which the gateway holds a session, by name. */
  session: z.record(serverName, sessionEntry).default({}),
  /** Hosts that agents log in to, by name. */
  ssh: z.record(serverName, sshEntry).default({}),
  /** Providers of models, by name. */
  models: z.record(serverName, modelsEntrySchema(address, headers)).default({}),
  /** Databases of PostgreSQL, by name. */
  postgres: z.record(serverName, databaseEntry).default({}),
  /** APIs behind proxies of others, which ask at `/authorize/<name>`. */
  authorize: z.record(serverName, authorizeEntry).default({}),
})

const file = fileSchema.superRefine(({ mcp, http, git, session, ssh, models, postgres, authorize }, context) => {
  const names = [mcp, http, git, session, ssh, models, postgres, authorize].flatMap((entries) => Object.keys(entries))
  if (names.length === 0)
    context.addIssue('expected at least one server below mcp, http, git, session, ssh, models, postgres or authorize')
  const hosts = Object.values(http).flatMap(({ host }) => (host === undefined ? [] : [host]))
  if (new Set(hosts).size < hosts.length) context.addIssue('a host is used twice below http')
  // A proxy may ask under the host that its client called. There, all paths are the API's, and its answer would pass for a decision.
  if (Object.values(authorize).some(({ address }) => hosts.includes(new URL(address).hostname)))
    context.addIssue('the host of an address below authorize is a host below http')
  // `bailiwick gateway pin NAME` would mean either.
  if (new Set(names).size < names.length)
    context.addIssue('a name is used twice below mcp, http, git, session, ssh, models, postgres and authorize')
})

export type GatewayFile = z.output<typeof fileSchema>
export type HttpServerEntry = z.output<typeof httpServer>
export type StdioServerEntry = z.output<typeof stdioServer>
export type ServerEntry = HttpServerEntry | StdioServerEntry

/**
 * Reads `gateway.yaml`. Relative paths in it begin at its folder. Throws `config_invalid` with one line for each fault: a member that does
 * not exist is refused by its name, because a limit that is misspelt must not be ignored.
 */
export function readGatewayFile(path: string): GatewayFile {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new ServiceError('config_invalid', `${path} cannot be read`, { cause: error })
  }
  return parseGatewayFile(text, path)
}

/** As `readGatewayFile`, for a text. */
export function parseGatewayFile(text: string, path: string): GatewayFile {
  const document = parseDocument(text, { uniqueKeys: true, strict: true, merge: false, schema: 'core' })
  const [broken] = document.errors
  if (broken !== undefined) throw new ServiceError('config_invalid', `${path}: ${broken.message.split('\n')[0]}`)
  const content = contentOf(document, path)
  const read = file.safeParse(content ?? {}, { reportInput: false })
  if (!read.success) {
    const lines = schemaFaults(read.error.issues.flatMap(nearest(content)), content).map(
      (fault) => `${path}: ${fault.path.length === 0 ? '' : `${fault.path.join('.')}: `}${withoutValue(fault)}`,
    )
    throw new ServiceError('config_invalid', lines.join('\n'))
  }
  return located(read.data, dirname(resolve(path)))
}

/** Refuses aliases: a few lines of them can take any amount of memory, and they hide from a reader what an entry says. */
function contentOf(document: ReturnType<typeof parseDocument>, path: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 0 })
  } catch (error) {
    throw new ServiceError('config_invalid', `${path}: an alias, which is not read here`, { cause: error })
  }
}

/** A value of a field or variable, an address or an argument may be a secret or hold one, written there by mistake (V17). */
const withoutValue = ({ path, said }: Fault): string =>
  ['headers', 'env', 'url', 'command', 'secret', 'address', 'password', 'fields', 'ca'].some((member) =>
    path.includes(member),
  )
    ? said.replace(/ \(is .*\)$/s, '')
    : said

/** Keeps only the faults of the form that the entry means, by `url` or `command`. Otherwise a fault of the other form would be shown. */
function nearest(content: unknown) {
  return (issue: z.core.$ZodIssue): z.core.$ZodIssue[] => {
    if (issue.code !== 'invalid_union' || issue.path[0] !== 'mcp') return [issue]
    const entry = (content as { mcp?: Record<string, unknown> }).mcp?.[String(issue.path[1])]
    const isStdio = typeof entry === 'object' && entry !== null && 'command' in entry && !('url' in entry)
    const errors = issue.errors[isStdio ? 1 : 0] ?? []
    return errors.map((error) => ({ ...error, path: [...issue.path, ...error.path] }))
  }
}

function located(file: GatewayFile, folder: string): GatewayFile {
  const at = (path: string) => resolve(folder, path)
  const mcp = Object.fromEntries(
    Object.entries(file.mcp).map(([name, entry]): [string, ServerEntry] => {
      const pinned = entry.pin === undefined ? entry : { ...entry, pin: at(entry.pin) }
      return [name, 'command' in pinned && pinned.cwd !== undefined ? { ...pinned, cwd: at(pinned.cwd) } : pinned]
    }),
  )
  const postgres = Object.fromEntries(
    Object.entries(file.postgres).map(([name, entry]) => [
      name,
      entry.ca === undefined ? entry : { ...entry, ca: at(entry.ca) },
    ]),
  )
  const trust = file.trust === undefined ? {} : { trust: at(file.trust) }
  return { ...file, keys: at(file.keys), ...trust, mcp, postgres }
}
