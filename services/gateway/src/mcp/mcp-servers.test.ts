import { expect, it } from 'vitest'
import type { ServerEntry } from '../gateway-file.ts'
import type { Held } from './conversations.ts'
import { McpServers } from './mcp-servers.ts'

const entry = (url: string, more: Partial<ServerEntry> = {}): ServerEntry =>
  ({ url, private: false, inject: { headers: {} }, denials: 'error', ...more }) as ServerEntry

/** Servers that note what happens to them. An entry with the address `bad` cannot be opened. */
function opened() {
  const happened: string[] = []
  const bodies: AsyncIterable<Uint8Array>[] = []
  const held: Held[] = []
  const servers = new McpServers((name, given, _, its) => {
    held.push(its)
    const url = 'url' in given ? given.url : ''
    if (url === 'bad') throw new Error('it cannot be opened')
    happened.push(`opened ${name} ${url}`)
    const answer = async () => ({ status: 200, headers: [], body: bodies.shift() ?? Buffer.from('whole') })
    const server = {
      ...{ conversations: 0, post: answer, get: answer, delete: answer },
      endOwners: async (isMeant: (owner: string) => boolean) =>
        void happened.push(`ended of ${name} ${url}: ${[...owners.keys()].filter(isMeant)}`),
      adopt: ({ denials }: Pick<ServerEntry, 'denials'>) => void happened.push(`adopted ${name} ${denials}`),
      [Symbol.asyncDispose]: async () => void happened.push(`ended ${name} ${url}`),
    }
    return { server, access: { [Symbol.asyncDispose]: async () => undefined } }
  })
  const told = async () => {
    await new Promise(setImmediate)
    return happened.splice(0)
  }
  const apply = (...file: Parameters<McpServers['prepare']>) => servers.prepare(...file).use()
  return { servers, apply, bodies, held, told }
}

const callOf = (agent: string) => {
  const claims = { sub: agent, client_id: agent, aud: 'a', exp: 1, grant: { root: 'grt_1' } }
  const credential = `a.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c`
  return [{} as never, { credential } as never, new AbortController().signal] as const
}
const call = callOf('one')
const owners = new Map(['one', 'two'].map((agent) => [JSON.stringify(['grt_1', null, agent]), agent]))

it('opens what is new, ends what is gone, and keeps what is alike', async () => {
  const { servers, apply, told } = opened()
  apply({ a: entry('1'), b: entry('2') })
  expect(await told()).toEqual(['opened a 1', 'opened b 2'])
  const changes = apply({ a: entry('1', { denials: 'result' }), c: entry('3') })
  expect(changes).toEqual({ added: ['c'], changed: [], removed: ['b'] })
  expect(await told()).toEqual(['opened c 3', 'adopted a result', 'ended b 2'])
  expect([servers.has('b'), servers.post('b', ...call)]).toEqual([false, undefined])
})

it('serves a server without its pin if the file cannot be read, and uses the rest of a new file', async () => {
  const { servers, apply, told } = opened()
  const files = { a: entry('1', { pin: '/nowhere/a.json' }), b: entry('2') }
  expect(() => apply(files)).toThrow('config_invalid')
  const unreadable: string[] = []
  apply(files, (name) => unreadable.push(name))
  expect([unreadable, servers.names]).toEqual([['a'], ['a', 'b']])
  expect(await told()).toEqual(['opened a 1', 'opened b 2'])
})

it('changes nothing if one entry cannot be used', async () => {
  const { servers, apply, told } = opened()
  apply({ a: entry('1') })
  await told()
  expect(() => apply({ a: entry('1', { denials: 'result' }), b: entry('2'), c: entry('bad') })).toThrow()
  // What was opened for it ends again, and what is in use was not touched.
  expect(await told()).toEqual(['opened b 2', 'ended b 2'])
  expect(servers.names).toEqual(['a'])
})

it('ends a server that is reached in another way after its answers, and sends nothing more to it', async () => {
  const { servers, apply, bodies, held, told } = opened()
  apply({ a: entry('1') })
  const flow = async (agent: string) => {
    bodies.push(
      (async function* () {
        yield Buffer.from('part')
      })(),
    )
    return (await servers.post('a', ...callOf(agent)))?.body as AsyncIterable<Uint8Array>
  }
  const [one, two] = [await flow('one'), await flow('two')]
  for await (const _ of two);
  expect(apply({ a: entry('2') }).changed).toEqual(['a'])
  // What waits for nothing ends at once.
  const [ofOne, ofTwo] = owners.keys()
  expect(await told()).toEqual(['opened a 1', 'opened a 2', `ended of a 1: ${ofTwo}`])
  for await (const _ of one);
  expect(await told()).toEqual([`ended of a 1: ${ofOne},${ofTwo}`, 'ended a 1'])
  // Both count in one limit (V18).
  expect(held[0]).toBe(held[1])
  await servers[Symbol.asyncDispose]()
  expect(await told()).toEqual(['ended a 2'])
})
