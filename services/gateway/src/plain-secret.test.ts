import { expect, it } from 'vitest'
import { secretInCommand, secretInUrl } from './plain-secret.ts'

it.each<[string, string | undefined]>([
  ['https://h/mcp?api_key=1', 'api_key'],
  ['https://h/mcp?a=1&apiKey=2', 'apiKey'],
  ['https://h/mcp?key=AIza', 'key'],
  ['https://h/mcp?access_token=x', 'access_token'],
  ['https://h/mcp?sig=x', 'sig'],
  ['https://h/mcp?profile=ghp_0123456789', 'profile'],
  ['https://h/mcp?toolsets=repos,issues&read_only=1', undefined],
  ['https://h/mcp?max_tokens=5&keyboard=us&token=', undefined],
])('finds what holds a secret in the address %s', (url, found) => {
  expect(secretInUrl(new URL(url))).toBe(found)
})

it.each<[string[], number | undefined]>([
  [['server', '--api-key', 'abc'], 2],
  [['server', '--api-key=abc'], 1],
  [['server', '--apiKey=abc'], 1],
  [['env', 'GITHUB_TOKEN=abc', 'server'], 1],
  [['docker', 'run', '-e', 'PASSWORD=abc', 'image'], 3],
  [['npx', 'mcp-remote', 'https://h/', '--header', 'Authorization: Bearer abc'], 4],
  [['npx', 'server', 'ghp_abcdef'], 2],
  [['server-postgres', 'postgresql://user:pw@host/db'], 1],
  [['node', 'server.mjs', '/srv/reports'], undefined],
  [['docker', 'run', '-e', 'API_KEY', 'image'], undefined],
  [['npx', 'mcp-remote', 'https://h/', '--header', 'Authorization:${AUTH}'], undefined],
  [['server', '--token-file', '/run/token', '--max-tokens', '5', '--key', 'server.key'], undefined],
  [['server', '--token', '--verbose'], undefined],
  [['server-postgres', 'postgresql://host:5432/db', 'token://x'], undefined],
])('finds the argument that holds a secret in %j', (command, found) => {
  expect(secretInCommand(command)).toBe(found)
})
