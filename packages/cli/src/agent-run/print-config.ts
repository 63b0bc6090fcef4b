import { Option } from 'commander'

const clients = ['codex', 'claude', 'cursor', 'vscode'] as const
export type Client = (typeof clients)[number]

/** A server of tools, as a client starts it. */
export interface ServerEntry {
  name: string
  command: readonly [string, ...string[]]
  /** Variables of the client's own environment that the server needs. */
  variables?: readonly string[]
}

export const printConfigOption = () =>
  new Option('--print-config <client>', "print what to add to the client's configuration, and do nothing else").choices(
    clients,
  )

/** Lines for the configuration of a client. They are for a person to paste: no file is written, and nothing that a file has is undone. */
export function configLines(client: Client, servers: readonly ServerEntry[]): string[] {
  if (client === 'codex') return servers.flatMap(codexLines)
  const [member, entryOf] = forms[client]
  const entries = servers.map((server) => [server.name, entryOf(server)] as const)
  return JSON.stringify({ [member]: Object.fromEntries(entries) }, null, 2).split('\n')
}

/** Below `~/.codex/config.toml`. Codex passes only the variables on that are named. */
function codexLines({ name, command: [command, ...args], variables = [] }: ServerEntry): string[] {
  return [
    `[mcp_servers.${name}]`,
    `command = ${JSON.stringify(command)}`,
    `args = ${JSON.stringify(args)}`,
    ...(variables.length === 0 ? [] : [`env_vars = ${JSON.stringify(variables)}`]),
    'startup_timeout_sec = 60',
    'tool_timeout_sec = 120',
    '',
  ]
}

/** As Claude Code waits for a hook unless told otherwise. The hook ends by itself before. */
const hookSeconds = 60

/**
 * A hook before each use of a tool, as Codex (`hooks.json`) and Claude Code (`settings.json`) write it. The client starts it by a shell, in the
 * folder that it works in, where npx may find nothing or a stranger's program, and would then go on.
 */
export function hookLines(command: readonly string[]): string[] {
  const words = command.map((word) => (/^[\w/.:@+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
  const hook = { type: 'command', command: words.join(' '), timeout: hookSeconds }
  return JSON.stringify({ hooks: { PreToolUse: [{ hooks: [hook] }] } }, null, 2).split('\n')
}

const plain = ({ command: [command, ...args] }: ServerEntry) => ({ command, args })
const withVariables = (server: ServerEntry, reference: (name: string) => string) => {
  const { variables = [] } = server
  const env = Object.fromEntries(variables.map((name) => [name, reference(name)]))
  return { ...plain(server), ...(variables.length === 0 ? {} : { env }) }
}

/** Where the entries stand, and how one is written: `.mcp.json`, `.cursor/mcp.json`, `.vscode/mcp.json`. */
const forms: Record<Exclude<Client, 'codex'>, [member: string, entryOf: (server: ServerEntry) => object]> = {
  claude: ['mcpServers', (server) => withVariables(server, (name) => `\${${name}}`)],
  cursor: ['mcpServers', (server) => withVariables(server, (name) => `\${env:${name}}`)],
  vscode: ['servers', (server) => ({ type: 'stdio', ...withVariables(server, (name) => `\${env:${name}}`) })],
}
