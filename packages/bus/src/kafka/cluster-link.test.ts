import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { expect, it } from 'vitest'
import { kafkaClient } from './client.ts'
import { clusterLink, ledOf } from './cluster-link.ts'
import { failureOf } from './failure.ts'

it('gives the leaders of all partitions, in order', () => {
  const found = [1, 0].map((partitionId) => ({ partitionId, leader: 7 }))
  expect(ledOf('t', found)).toEqual([0, 1].map((partition) => ({ topic: 't', partition, leader: 7 })))
})

it.each([
  ['none', []],
  ['a part', [0, 2]],
  ['all but the first', [1]],
])('takes %s of the partitions for no answer: it is asked again', (_, ids) => {
  let thrown: unknown
  try {
    ledOf(
      't',
      ids.map((partitionId) => ({ partitionId, leader: 7 })),
    )
  } catch (error) {
    thrown = error
  }
  expect(failureOf(thrown)).toBe('transient')
  expect(thrown).toMatchObject({ type: 'LEADER_NOT_AVAILABLE' })
})

it('closes once what it was asked has ended, and takes nothing more: kafkajs would connect again for it', async () => {
  const connection = { brokers: ['127.0.0.1:1'], clientId: 'link' } // no broker listens there
  const link = clusterLink(
    kafkaClient(connection, () => {}),
    connection,
    0,
  )
  const order: string[] = []
  const asked = link.leaders(['t']).catch(() => void order.push('answered'))
  await link.close()
  order.push('closed')
  await asked
  expect(order).toEqual(['answered', 'closed'])
  await expect(link.leaders(['t'])).rejects.toThrow('the link is closed')
})

it('waits no longer than a call may take, also where a broker answers nothing for ever', async () => {
  await using silent = await openSilent()
  const connection = { brokers: [`127.0.0.1:${silent.port}`], clientId: 'link' }
  const link = clusterLink(
    kafkaClient(connection, () => {}),
    connection,
    0,
    50,
  )
  await expect(link.leaders(['t'])).rejects.toThrow('no answer came')
})

/** Accepts connections, but sends nothing. */
async function openSilent(): Promise<{ port: number } & AsyncDisposable> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => void sockets.add(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
