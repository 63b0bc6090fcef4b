import { jcs, sha256 } from '@bailiwick/credentials'
import { z } from 'zod'
import { serverId, template } from '../file-members.ts'
import { pinned } from '../pin/pinned.ts'
import { costPointers } from '../stated-cost.ts'

/** A name in the database that needs no quotes. */
const roleName = z.string().regex(/^[a-z_][a-z0-9_]{0,62}$/, 'expected a name of a-z, 0-9 and _, such as orders_reader')
const loopback: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '::1'])

/** A database of PostgreSQL behind the gateway, at `/postgres/<name>`, and the template whose privileges a connection gets. */
export const databaseEntry = z
  .strictObject({
    host: z.string().regex(/^[A-Za-z0-9.:_-]{1,253}$/, 'expected the name or the address of a host'),
    port: z.int().min(1).max(65_535).default(5432),
    database: z.string().regex(/^[A-Za-z_][A-Za-z0-9_-]{0,62}$/, 'expected the name of a database'),
    /** Whether the connection to the server is encrypted, and the server is known by its certificate. */
    tls: z.boolean().default(true),
    /** The file with the certificates of the server’s authority; those of the system if left out. */
    ca: z.string().min(1).optional(),
    /** The login of the gateway. It may lend the templates that a DBA listed for it, and nothing else. */
    broker: z.strictObject({ user: roleName, password: template }),
    /** The role whose privileges a connection gets. */
    template: roleName,
    /** How long a connection may last. */
    minutes: z.int().min(1).max(480).default(15),
    /** How many connections there may be at the same time: of one agent, and of all. */
    connections: z
      .strictObject({
        each_agent: z.int().min(1).max(1000).default(4),
        together: z.int().min(1).max(1000).default(16),
      })
      .prefault({}),
    /** The most bytes that one connection may bring. */
    most_answer_bytes: z
      .int()
      .min(1024)
      .max(4 * 1024 ** 3)
      .default(64 * 1024 ** 2),
    /** The tool server's name in the registry; the name of this entry if left out. */
    server: serverId.optional(),
  })
  .refine(({ tls, host }) => tls || loopback.has(host), {
    path: ['tls'],
    message: 'only a database on this machine is reached without TLS',
  })
export type DatabaseEntry = z.output<typeof databaseEntry>

const domain = 'bailiwick-postgres-manifest-v1'

/**
 * The value of `manifest` in the registry: base64url SHA-256 of the JCS array
 * `["bailiwick-postgres-manifest-v1", { host, port, database, template, minutes }]`. People approve which privileges are lent where, and for how long.
 */
export function databaseManifest({ host, port, database, template, minutes }: DatabaseEntry): string {
  return sha256(jcs([domain, { host, port, database, template, minutes }]))
}

/** The registry's entry of a database. The labels are a draft. */
export function databaseRegistryEntry(name: string, entry: DatabaseEntry) {
  const { host, port, database, server = name } = entry
  const at = host.includes(':') ? `[${host}]` : host
  return {
    id: server,
    url: `postgresql://${at}:${port}/${database}`,
    manifest: databaseManifest(entry),
    tools: { connect: { labels: ['reads_private', 'writes'], cost: costPointers } },
  }
}

export const pinnedDatabase = (name: string, entry: DatabaseEntry) =>
  pinned(
    databaseRegistryEntry(name, entry),
    `The labels are a draft. Remove writes if ${entry.template} may only read, and add reads_untrusted if strangers write to its tables`,
  )
