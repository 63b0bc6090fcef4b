import { databaseEntry, databaseRegistryEntry } from '@bailiwick/gateway/database-entry'
import { gitEntry, gitRegistryEntry } from '@bailiwick/gateway/git-entry'
import { sessionEntry } from '@bailiwick/gateway/session-entry'
import { sessionRegistryEntry } from '@bailiwick/gateway/session-manifest'
import { sshEntry, sshRegistryEntry } from '@bailiwick/gateway/ssh-entry'
import type { InitialEntities } from '@bailiwick/installation'

/** Entries in gateway.yaml for what speaks neither MCP nor plain HTTP, by name. */
export interface OtherEntries {
  /** Git servers. */
  gits: Record<string, { url: string; inject?: object }>
  databases: Record<string, object>
  /** Web applications in which the gateway holds a session, and what each operation does. */
  sessions: Record<string, { entry: Record<string, unknown>; tools?: Record<string, object> }>
  /** Hosts to log in to. */
  sshs: Record<string, object>
}

/** What people approve of these entries: a tool server each. */
export function registryOf({ gits, databases, sessions, sshs }: OtherEntries): InitialEntities {
  const values = [
    ...Object.entries(gits).map(([name, entry]) => gitRegistryEntry(name, gitEntry.parse(entry))),
    ...Object.entries(databases).map(([name, entry]) => databaseRegistryEntry(name, databaseEntry.parse(entry))),
    ...Object.entries(sessions).map(([name, { entry, tools }]) => {
      const drafted = sessionRegistryEntry(name, sessionEntry.parse(entry))
      const harmless = Object.fromEntries(Object.keys(drafted.tools).map((tool) => [tool, { labels: [] }]))
      return { ...drafted, tools: { ...harmless, ...tools } }
    }),
    ...Object.entries(sshs).map(([name, entry]) => sshRegistryEntry(name, sshEntry.parse(entry))),
  ]
  return values.map((value) => ({ type: 'tool-server', value }) as never)
}
