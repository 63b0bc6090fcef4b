import { expect, it } from 'vitest'
import { configLines, hookLines, type ServerEntry } from './print-config.ts'

const server: ServerEntry = {
  name: 'notes',
  command: ['/usr/bin/node', '/opt/bailiwick/main.ts', 'agent', 'connect', 'notes'],
  variables: ['BAILIWICK_MCP_NOTES'],
}
const args = ['/opt/bailiwick/main.ts', 'agent', 'connect', 'notes']
const command = '/usr/bin/node'
/** As clients write a variable. */
const reference = (name: string) => `\${${name}}`

it.each([
  [
    'claude',
    { mcpServers: { notes: { command, args, env: { BAILIWICK_MCP_NOTES: reference('BAILIWICK_MCP_NOTES') } } } },
  ],
  [
    'cursor',
    { mcpServers: { notes: { command, args, env: { BAILIWICK_MCP_NOTES: reference('env:BAILIWICK_MCP_NOTES') } } } },
  ],
  [
    'vscode',
    {
      servers: {
        notes: { type: 'stdio', command, args, env: { BAILIWICK_MCP_NOTES: reference('env:BAILIWICK_MCP_NOTES') } },
      },
    },
  ],
] as const)('prints the entry for %s as JSON, without a secret', (client, wanted) => {
  expect(JSON.parse(configLines(client, [server]).join('\n'))).toEqual(wanted)
})

it('prints the table for Codex, with the variables that it must pass on', () => {
  expect(configLines('codex', [server])).toEqual([
    '[mcp_servers.notes]',
    `command = "${command}"`,
    `args = ${JSON.stringify(args)}`,
    'env_vars = ["BAILIWICK_MCP_NOTES"]',
    'startup_timeout_sec = 60',
    'tool_timeout_sec = 120',
    '',
  ])
})

it('prints no variables of a server that needs none', () => {
  const { variables: _, ...alone } = server
  expect(configLines('claude', [alone]).join('')).not.toContain('env')
  expect(configLines('codex', [alone]).join('')).not.toContain('env_vars')
})

it('prints a hook that a shell starts in any folder', () => {
  const words = ['/usr/bin/node', "/opt/it's here/main.js", 'agent', 'hook', 'permit']
  const { hooks } = JSON.parse(hookLines(words).join('\n'))
  expect(hooks.PreToolUse[0].hooks).toEqual([
    { type: 'command', command: `/usr/bin/node '/opt/it'\\''s here/main.js' agent hook permit`, timeout: 60 },
  ])
})
