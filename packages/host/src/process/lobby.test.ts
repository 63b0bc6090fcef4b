import { once } from 'node:events'
import { createServer } from 'node:net'
import { systemClock } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { httpServer } from '../http/http.ts'
import { logger as makeLogger } from '../observe/logger.ts'
import { metrics as makeMetrics } from '../observe/metrics.ts'
import { openLobby } from './lobby.ts'

it('a process that starts is live, not ready, names what it waits for, and serves nothing else (V8, V13)', async () => {
  const taken = createServer().listen({ host: '127.0.0.1', port: 0 })
  await once(taken, 'listening')
  const { port } = taken.address() as { port: number }
  taken.close()
  await once(taken, 'close')
  const logger = makeLogger({ service: 'test', level: 'silent' })
  const metrics = makeMetrics({ service: 'test', processMetrics: false })
  const server = (health: Parameters<Parameters<typeof openLobby>[0]>[0]) =>
    httpServer({ logger, metrics, health, clock: systemClock })
  const lobby = await openLobby(server, { host: '127.0.0.1', port })
  const ask = async (path: string) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`)
    return { status: answer.status, body: await answer.text(), retryAfter: answer.headers.get('retry-after') }
  }
  lobby?.waitsFor('waits for Kafka: connect ECONNREFUSED')
  expect(await ask('/healthz')).toMatchObject({ status: 200 })
  const waits = { status: 503, body: expect.stringContaining('waits for Kafka: connect ECONNREFUSED') }
  expect(await ask('/readyz')).toMatchObject(waits)
  expect(await ask('/access/v1/evaluation')).toMatchObject({ ...waits, retryAfter: '1' })
  lobby?.waitsFor(undefined)
  expect(await ask('/readyz')).toMatchObject({ status: 503, body: expect.stringContaining('it starts') })
  await lobby?.close()
  await lobby?.close()
  await expect(ask('/healthz')).rejects.toThrow()
})

it('opens no lobby without a fixed port: clients could not find it', async () => {
  expect(
    await openLobby(() => Promise.reject(new Error('not reached')), { host: '127.0.0.1', port: 0 }),
  ).toBeUndefined()
})
