import { stringify } from 'yaml'

/** The registry's entry of a server in YAML, and lines for the person who applies it. */
export const pinned = (server: object, ...notes: readonly string[]): { entry: string; notes: readonly string[] } => ({
  entry: stringify({ tool_servers: [server] }, { lineWidth: 0, aliasDuplicateObjects: false }),
  notes: [...notes, 'Then: bailiwick registry apply FILE'],
})
