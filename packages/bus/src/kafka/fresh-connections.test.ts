import { expect, it } from 'vitest'
import { kafkaClient } from './client.ts'
import { clusterLink, type Link } from './cluster-link.ts'
import { type LoginBroker, loginBroker } from './login-broker.fixture.ts'

const password = 'of the fixture'
const requestTimeout = 200

function open({ port }: LoginBroker): Link {
  const connection = {
    brokers: [`127.0.0.1:${port}`],
    clientId: 'late',
    sasl: { username: 'late', password },
    timeouts: { connectionTimeout: 1000, requestTimeout },
  }
  return clusterLink(
    kafkaClient(connection, () => {}),
    connection,
    0,
  )
}

const fetched = { partitions: [], empty: true }
/** A fetch uses a connection of its own, with its own login. */
const fetch = async (link: Link, leaders: Awaited<ReturnType<Link['leaders']>>) =>
  link.fetch(leaders.map((led) => ({ ...led, offset: 0 })))

it('logs in on another connection when the broker did not answer the first login in time', async () => {
  await using broker = await loginBroker(password, (login) => (login === 2 ? 'for ever' : 0))
  const link = open(broker)
  const leaders = await link.leaders(['t'])
  await expect(fetch(link, leaders)).rejects.toThrow('timed out')
  expect(await fetch(link, leaders)).toMatchObject(fetched)
  expect([broker.logins, broker.connections(), broker.illegal()]).toEqual([[0, 'for ever', 0], 3, 0])
  await link.close()
})

it('does so for the first connection too, by itself', async () => {
  await using broker = await loginBroker(password, (login) => (login === 1 ? 'for ever' : 0))
  const link = open(broker)
  expect(await link.leaders(['t'])).toHaveLength(1)
  expect([broker.logins, broker.illegal()]).toEqual([['for ever', 0], 0])
  await link.close()
})

it('waits longer each time for a broker that answers every login later than it first waits', async () => {
  await using broker = await loginBroker(password, () => 2.5 * requestTimeout)
  const link = open(broker)
  const leaders = await link.leaders(['t'])
  expect(await fetch(link, leaders)).toMatchObject(fetched)
  expect(broker.illegal()).toBe(0)
  await link.close()
})
