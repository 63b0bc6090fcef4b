import { expect, it } from 'vitest'
import type { ServerEntry } from '../gateway-file.ts'
import { McpServers } from './mcp-servers.ts'

const entry = (url: string, more: Partial<ServerEntry> = {}): ServerEntry =>
  ({ url, private: false, inject: { headers: {} }, denials: 'error', ...more }) as ServerEntry

/** Servers that note what happens to them. An entry with the address `bad` cannot be opened. */
function opened() {
  const happened: string[] = []
  const bodies: AsyncIterable<Uint8Array>[] = []
  const servers = new McpServers((name, given) => {
    const url = 'url' in given ? given.url : ''
    if (url === 'bad') throw new Error('it cannot be opened')
    happened.push(`opened ${name} ${url}`)
    const answer = async () => ({ status: 200, headers: [], body: bodies.shift() ?? Buffer.from('whole') })
    const server = {
      ...{ conversations: 0, post: answer, get: answer, delete: answer },
      adopt: ({ denials }: Pick<ServerEntry, 'denials'>) => void happened.push(`adopted ${name} ${denials}`),
      [Symbol.asyncDispose]: async () => void happened.push(`ended ${name} ${url}`),
    }
    return { server, access: { [Symbol.asyncDispose]: async () => undefined } }
  })
  const told = async () => {
    await new Promise(setImmediate)
    return happened.splice(0)
  }
  return { servers, bodies, told }
}

const call = [{} as never, {} as never, new AbortController().signal] as const

it('opens what is new, ends what is gone, and keeps what is alike', async () => {
  const { servers, told } = opened()
  servers.apply({ a: entry('1'), b: entry('2') })
  expect(await told()).toEqual(['opened a 1', 'opened b 2'])
  const changes = servers.apply({ a: entry('1', { denials: 'result' }), c: entry('3') })
  expect(changes).toEqual({ added: ['c'], changed: [], removed: ['b'] })
  expect(await told()).toEqual(['opened c 3', 'adopted a result', 'ended b 2'])
  expect([servers.has('b'), servers.post('b', ...call)]).toEqual([false, undefined])
})

it('changes nothing if one entry cannot be used', async () => {
  const { servers, told } = opened()
  servers.apply({ a: entry('1') })
  await told()
  expect(() => servers.apply({ a: entry('1', { denials: 'result' }), b: entry('2'), c: entry('bad') })).toThrow()
  // What was opened for it ends again, and what is in use was not touched.
  expect(await told()).toEqual(['opened b 2', 'ended b 2'])
  expect(servers.names).toEqual(['a'])
})

it('ends a server that is reached in another way after its answers, and sends nothing more to it', async () => {
  const { servers, bodies, told } = opened()
  servers.apply({ a: entry('1') })
  bodies.push(
    (async function* () {
      yield Buffer.from('part')
    })(),
  )
  const { body } = (await servers.post('a', ...call)) ?? { body: Buffer.from('') }
  expect(servers.apply({ a: entry('2') }).changed).toEqual(['a'])
  expect(await told()).toEqual(['opened a 1', 'opened a 2'])
  for await (const _ of body as AsyncIterable<Uint8Array>);
  expect(await told()).toEqual(['ended a 1'])
  await servers[Symbol.asyncDispose]()
  expect(await told()).toEqual(['ended a 2'])
})
