import { expect, it } from 'vitest'
import { parseGatewayFile } from './gateway-file.ts'

const read = (text: string) => parseGatewayFile(text, '/srv/gateway.yaml')
const faultsOf = (text: string): string => {
  try {
    read(text)
    return ''
  } catch (error) {
    return String((error as { detail?: string }).detail)
  }
}

it('reads servers over HTTP and servers with a command, with paths from its own folder', () => {
  const file = read(`
mcp:
  reports: { command: [npx, -y, "@example/server", /srv/reports], cwd: work, env: { TOKEN: "\${secret:file:/run/token}" }, pin: pins/reports.json }
  billing: { url: "http://127.0.0.1:3001/mcp", inject: { headers: { authorization: "Bearer \${secret:env:KEY}!" } }, denials: result }
`)
  expect(file).toMatchObject({ point: 'gateway', keys: '/srv/keys', origins: [] })
  expect(file.mcp.reports).toMatchObject({
    command: ['npx', '-y', '@example/server', '/srv/reports'],
    cwd: '/srv/work',
    pin: '/srv/pins/reports.json',
    env: { TOKEN: [{ secret: 'file:/run/token' }] },
    stderr: 'drop',
    denials: 'error',
  })
  expect(file.mcp.billing).toMatchObject({
    url: 'http://127.0.0.1:3001/mcp',
    inject: { headers: { authorization: ['Bearer ', { secret: 'env:KEY' }, '!'] } },
    denials: 'result',
  })
})

it.each([
  ['a misspelt member of a server', 'mcp: { a: { url: "http://h/", injct: {} } }', 'mcp.a: unknown member "injct"'],
  [
    'a misspelt member below it',
    'mcp: { a: { url: "http://h/", inject: { header: {} } } }',
    'mcp.a.inject: unknown member "header"',
  ],
  [
    'a misspelt member of a command',
    'mcp: { a: { command: [x], environment: {} } }',
    'mcp.a: unknown member "environment"',
  ],
  ['a misspelt member of the file', 'mpc: {}', 'unknown member "mpc"'],
  ['both forms at once', 'mcp: { a: { url: "http://h/", command: [x] } }', 'mcp.a: unknown member "command"'],
  [
    'no server',
    'mcp: {}',
    'expected at least one server below mcp, http, git, session, ssh, models, postgres or authorize',
  ],
  [
    'a name in two places',
    'mcp: { a: { url: "http://h/" } }\nhttp: { a: { url: "http://h/" } }',
    'below mcp, http, git, session, ssh, models, postgres and authorize',
  ],
  [
    'a misspelt member of an API',
    'http: { a: { url: "http://h/", operation: {} } }',
    'http.a: unknown member "operation"',
  ],
  [
    'a misspelt member of an operation',
    'http: { a: { url: "http://h/", operations: { b: { request: GET /x, quer: [] } } } }',
    'http.a.operations.b: unknown member "quer"',
  ],
  [
    'an operation without a method',
    'http: { a: { url: "http://h/", operations: { b: { request: /x } } } }',
    'http.a.operations.b.request',
  ],
  [
    'a field of answers that the gateway makes',
    'http: { a: { url: "http://h/", answer: [cache-control] } }',
    'http.a.answer.0',
  ],
  [
    'the secret of a proxy in the file itself',
    'authorize: { a: { url: "http://h/", address: "http://p/", secret: abc-secret } }',
    'authorize.a.secret',
  ],
  [
    'a proxy that shows no body, and is said to',
    'authorize: { a: { url: "http://h/", address: "http://p/", secret: "${secret:env:X}", body: shown } }',
    'authorize.a.body: only Envoy shows a body',
  ],
  [
    'a proxy that would ask at the host of an API',
    'http: { b: { url: "http://h/", host: p.test } }\nauthorize: { a: { url: "http://h/", address: "https://p.test:8443/x", secret: "${secret:env:X}" } }',
    'the host of an address below authorize is a host below http',
  ],
  ['a query in the address of an API', 'http: { a: { url: "http://h/?a=b" } }', 'http.a.url'],
  ['a name that is no segment of a path', 'mcp: { "A/b": { url: "http://h/" } }', 'mcp'],
  [
    'a reference that is misspelt',
    'mcp: { a: { url: "http://h/", inject: { headers: { x: "${secrets:file:/x}" } } } }',
    'mcp.a.inject.headers.x',
  ],
  ['a variable of a shell', 'mcp: { a: { command: [x], env: { A: "$HOME" } } }', 'mcp.a.env.A'],
  [
    'a field that the gateway makes',
    'mcp: { a: { url: "http://h/", inject: { headers: { mcp-session-id: x } } } }',
    'mcp.a.inject.headers',
  ],
  ['a user in an address', 'mcp: { a: { url: "http://user:pass@h/" } }', 'mcp.a.url'],
  [
    'a secret in an address',
    'mcp: { a: { url: "http://h/mcp?api_key=abc-secret" } }',
    'mcp.a.url: the parameter api_key looks like a secret',
  ],
  [
    'a secret in a command',
    'mcp: { a: { command: [server, --token, abc-secret] } }',
    'mcp.a.command: argument 2 looks like a secret',
  ],
  ['another scheme', 'mcp: { a: { url: "file:///etc/passwd" } }', 'mcp.a.url'],
  ['two equal keys', 'mcp: { a: { url: "http://h/" }, a: { url: "http://i/" } }', 'Map keys must be unique'],
  ['an alias', 'mcp: { a: &x { url: "http://h/" }, b: *x }', 'alias'],
])('refuses %s by its name', (_, text, said) => {
  expect(faultsOf(text)).toContain(said)
})

it('names every fault, each on a line of its own', () => {
  expect(faultsOf('poin: x\nmcp: { a: { url: "http://h/", injct: {} } }').split('\n')).toHaveLength(2)
})

it('repeats no value of a field: a secret may stand there by mistake (V17)', () => {
  const said = faultsOf(
    'mcp: { a: { url: "http://h/", inject: { headers: { authorization: "Bearer $abc-secret" } } } }',
  )
  expect(said).not.toContain('abc-secret')
  for (const entry of ['url: "http://h/mcp?api_key=abc-secret"', 'command: [server, --token, abc-secret]'])
    expect(faultsOf(`mcp: { a: { ${entry} } }`)).not.toContain('abc-secret')
  const proxy = 'authorize: { a: { url: "http://h/", address: "http://p/", secret: abc-secret } }'
  expect(faultsOf(proxy)).not.toContain('abc-secret')
})
