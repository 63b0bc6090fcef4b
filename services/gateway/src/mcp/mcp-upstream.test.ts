import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openSecrets, parseTemplate, type RelayRequest } from '@bailiwick/relay'
import { type UpstreamUnderTest, upstreamContract } from '@bailiwick/relay/contract'
import { HttpFixture } from '../fixture/http-server.fixture.ts'
import type { StdioServerEntry } from '../gateway-file.ts'
import { ownRequest } from '../protocol/outgoing.ts'
import type { Channel } from '../servers/channel.ts'
import { accessTo } from '../servers/upstreams.ts'
import type { Conversation } from './conversations.ts'
import { McpUpstream } from './mcp-upstream.ts'

const secret = 'sk-0123456789abcdefghij'
const secrets = openSecrets({ env: { KEY: secret } })
let ids = 0

/** Spaces, an escape and an order of members that no serialiser would write. */
function call(name: string, args: object = {}): RelayRequest {
  const request = ownRequest('modern', `id-${++ids}`, 'tools/call', { name, arguments: args }, '/mcp/billing')
  const text = JSON.stringify(JSON.parse(Buffer.from(request.body).toString()), undefined, 1)
  return { ...request, body: Buffer.from(text.replace('"arguments"', '"\\u0061rguments"').replaceAll('\n', ' ')) }
}

const withBody = (request: RelayRequest, text: string): RelayRequest => ({ ...request, body: Buffer.from(text) })
const refused = (): RelayRequest[] => {
  const request = call('read', { n: 1 })
  const text = Buffer.from(request.body).toString()
  return [
    withBody(request, `[${text}]`),
    withBody(request, text.replace('"name": "read"', '"name": "read", "name": "delete"')),
    withBody(request, text.replace('"name": "read"', '"name": "read", "Name": "delete"')),
    withBody(request, text.replace('"name": "read"', '"name": "delete"')),
    { ...request, headers: request.headers.map((each) => (each === 'tools/call' ? 'tools/list' : each)) },
    { ...request, method: 'PUT' },
    call('bailiwick/read'),
    ownRequest('modern', 'x', 'tools/list', {}, '/mcp/billing'),
  ]
}

const options = { secrets, env: { PATH: process.env.PATH }, answerMs: 30_000, onError: () => undefined }
const upstreamOf = (channel: Channel) =>
  new McpUpstream(
    'billing',
    async (_, { permit }) => ({ owner: { grant: permit.grant, key: '' }, channel }) as Conversation,
  )

const requests = {
  effect: (n: number) => call('read', { z: 1, n, a: ' ' }),
  flowing: () => call('slow'),
  silent: () => call('silent'),
  broken: () => call('broken'),
  refused,
  secret,
}
const textOf = ({ body }: RelayRequest) => Buffer.from(body).toString('latin1')

upstreamContract('mcp over http', async (): Promise<UpstreamUnderTest> => {
  const server = await HttpFixture.start()
  const headers = { authorization: parseTemplate(`Bearer \${secret:env:KEY}`) ?? [] }
  const entry = { url: server.url, private: false, inject: { headers }, denials: 'error' as const }
  const access = accessTo(entry, { ...options, newMark: () => '' })
  const upstream = upstreamOf(await access.open('modern'))
  return {
    ...requests,
    upstream,
    arrived: () =>
      server.arrived.map(
        ({ rawHeaders, body }) => `${rawHeaders.join('\n')}\n\n${Buffer.from(body).toString('latin1')}`,
      ),
    written: (request) => `\n\n${textOf(request)}`,
    vanish: () => server[Symbol.asyncDispose](),
    async [Symbol.asyncDispose]() {
      await access[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
})

upstreamContract('mcp over standard input', async (): Promise<UpstreamUnderTest> => {
  const folder = mkdtempSync(join(tmpdir(), 'bailiwick-mcp-upstream-'))
  const log = join(folder, 'log')
  const entry: StdioServerEntry = {
    command: [process.execPath, join(import.meta.dirname, '../fixture/stdio-server.fixture.ts')],
    env: { FIXTURE_LOG: [log], TOKEN: parseTemplate(`\${secret:env:KEY}`) ?? [] },
    stderr: 'drop',
    processes: 1,
    denials: 'error',
  }
  const access = accessTo(entry, { ...options, newMark: () => `contract-${process.pid}-${++ids}` })
  const channel = await access.open('modern')
  const lines = () =>
    existsSync(log)
      ? readFileSync(log, 'utf8')
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line))
      : []
  return {
    ...requests,
    upstream: upstreamOf(channel),
    arrived() {
      const token = lines().find(({ env }) => env !== undefined)?.env.TOKEN
      const messages = lines().flatMap(({ line }) => (line === undefined ? [] : [line]))
      // The message that tells the server that its work is no longer wanted is not a request.
      return messages.filter((line) => !line.includes('notifications/cancelled')).map((line) => `${token}\n${line}`)
    },
    written: (request) => `\n${textOf(request)}`,
    vanish: () => channel.end(),
    async [Symbol.asyncDispose]() {
      await channel.end()
      rmSync(folder, { recursive: true, force: true })
    },
  }
})
