import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { lacks } from './parts.ts'
import { freePorts } from './ports.ts'
import { startRedis } from './redis.ts'

describe.skipIf(lacks('redis'))('a native Redis', () => {
  it('evicts nothing and writes nothing to the disk, unless configured to', async () => {
    await using plain = await startRedis()
    expect(await plain.cli('CONFIG', 'GET', 'maxmemory-policy')).toBe('maxmemory-policy\nnoeviction')
    expect(await plain.cli('CONFIG', 'GET', 'save')).toBe('save\n')
    expect(await plain.cli('CONFIG', 'GET', 'appendonly')).toBe('appendonly\nno')
    await using told = await startRedis({ config: { 'maxmemory-policy': 'allkeys-lru', appendonly: 'yes' } })
    expect(await told.cli('CONFIG', 'GET', 'maxmemory-policy')).toBe('maxmemory-policy\nallkeys-lru')
    expect(existsSync(join(told.dir, 'appendonlydir'))).toBe(true)
  })

  it('listens only on the loopback', async () => {
    await using redis = await startRedis()
    expect(redis.url).toBe(`redis://127.0.0.1:${redis.port}`)
    expect(await redis.cli('CONFIG', 'GET', 'bind')).toBe('bind\n127.0.0.1')
  })

  it('comes back empty after SIGKILL, and with its snapshot where there is one', async () => {
    await using redis = await startRedis()
    await redis.cli('SET', 'key', 'lost')
    const first = redis.pid
    await redis.kill('SIGKILL')
    await redis.start()
    expect(redis.pid).not.toBe(first)
    expect(await redis.cli('GET', 'key')).toBe('')
    await redis.cli('SET', 'key', 'kept')
    expect(await redis.cli('SAVE')).toBe('OK')
    await redis.cli('SET', 'key', 'newer')
    await redis.kill('SIGKILL')
    await redis.start()
    expect(await redis.cli('GET', 'key')).toBe('kept')
  })

  it('loads the data that another one left in a kept folder', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'bailiwick-redis-kept-'))
    try {
      {
        await using redis = await startRedis({ dir })
        await redis.cli('SET', 'key', 'value')
        await redis.cli('SAVE')
      }
      await using again = await startRedis({ dir })
      expect(await again.cli('GET', 'key')).toBe('value')
    } finally {
      rmSync(dir, { recursive: true })
    }
  })

  it('follows another as its replica, and takes its place', async () => {
    await using primary = await startRedis()
    await primary.cli('SET', 'key', 'value')
    await using replica = await startRedis({ replicaOf: primary })
    while ((await replica.cli('GET', 'key')) !== 'value') await sleep(20)
    await primary.kill('SIGKILL')
    expect(await replica.cli('REPLICAOF', 'NO', 'ONE')).toBe('OK')
    expect(await replica.cli('SET', 'key', 'mine')).toBe('OK')
  })

  it('stands still between SIGSTOP and SIGCONT', async () => {
    await using redis = await startRedis()
    await redis.kill('SIGSTOP')
    const answer = redis.cli('PING')
    expect(await Promise.race([answer, sleep(300, 'silence')])).toBe('silence')
    await redis.kill('SIGCONT')
    expect(await answer).toBe('PONG')
  })

  it('reports that the given port is taken', async () => {
    await using redis = await startRedis()
    await expect(startRedis({ port: redis.port })).rejects.toThrow(/service_unready: Redis ended before.*in use/s)
  })

  it('takes another port when the free one was taken meanwhile', async () => {
    await using redis = await startRedis()
    const ports = [redis.port, ...(await freePorts(1))]
    await using other = await startRedis({}, async () => ports.splice(0, 1))
    expect(other.port).not.toBe(redis.port)
    expect(ports).toEqual([])
  })

  it('leaves no process and no folder', async () => {
    const redis = await startRedis()
    const { pid, dir } = redis
    await redis[Symbol.asyncDispose]()
    expect(() => process.kill(pid, 0)).toThrow('ESRCH')
    expect(existsSync(dir)).toBe(false)
  })
})
