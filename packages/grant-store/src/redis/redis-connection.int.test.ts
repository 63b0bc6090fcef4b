import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { missingParts, type RedisServer, startRedis } from '@bailiwick/native'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { aRoot, aTake, aTree, START } from '../contract/fixtures.ts'
import { aLogger, eventually, openStore } from './redis.fixture.ts'

/** Skipped without a redis-server; in CI that is a failure. */
const skipped = missingParts('redis').length > 0 && process.env.CI !== 'true'
const unanswered = { code: 'outcome_unknown' }
const aProof = () => `jti-${aRoot()}`

describe.skipIf(skipped)('the connection to Redis', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await startRedis()
  })
  beforeEach(async () => {
    await server.cli('FLUSHALL')
  })
  afterAll(() => server[Symbol.asyncDispose]())

  /** An adopted store with a tree. */
  async function adopted(options: Parameters<typeof openStore>[1] = {}, at = server) {
    const store = await openStore(at, options)
    await store.adopt()
    const root = aRoot()
    await store.refill(root, aTree())
    return { store, root, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() }
  }

  it('need not be there at the start: all is outcome_unknown at once, and well as soon as the server comes', async () => {
    await using later = await startRedis()
    await later.kill('SIGKILL')
    const logger = aLogger()
    // Not because of this deadline, which is longer than the test's time.
    await using store = await openStore(later, { logger, deadlineMs: 600_000 })
    expect(store.unhealthy()).toBe('ECONNREFUSED')
    await expect(store.adopt()).rejects.toMatchObject(unanswered)
    await expect(store.count('agent', 1000, START)).rejects.toMatchObject(unanswered)
    expect(await store.remember(aProof(), START, START + 1000)).toBeUndefined()
    await later.start()
    await eventually(() => store.unhealthy() === undefined)
    await store.adopt()
    expect(await store.remember(aProof(), START, START + 1000)).toBe(true)
    expect(logger.lines.map((line) => JSON.parse(line).level)).toEqual(['warn', 'info'])
  })

  it('is answered within its deadline by a server that holds still, at once from then on, and well when it goes on', async () => {
    const deadlineMs = 2000
    await using store = await openStore(server, { deadlineMs })
    const epoch = await store.adopt()
    await server.kill('SIGSTOP')
    try {
      const waits = async () => {
        const before = performance.now()
        await expect(store.remember(aProof(), START, START + 1000)).rejects.toMatchObject(unanswered)
        return performance.now() - before
      }
      await waits()
      await eventually(() => store.unhealthy() !== undefined)
      const later = [await waits(), await waits(), await waits()]
      expect(Math.min(...later)).toBeLessThan(deadlineMs)
    } finally {
      await server.kill('SIGCONT')
    }
    await eventually(() => store.unhealthy() === undefined)
    // No data was lost, and none counts as lost.
    expect(await store.epoch()).toBe(epoch)
  })

  it('refuses a call too many instead of letting it wait', async () => {
    await using store = await openStore(server, { deadlineMs: 2000 })
    await store.adopt()
    await server.kill('SIGSTOP')
    try {
      const calls = Array.from({ length: 10_001 }, () => store.count('agent', 1000, START))
      const [last] = await Promise.allSettled(calls.slice(-1))
      expect(last).toMatchObject({ status: 'rejected', reason: { cause: { message: 'too many calls wait for it' } } })
      await Promise.allSettled(calls)
    } finally {
      await server.kill('SIGCONT')
    }
  })

  it('is made anew when the server becomes a replica, and what it held then is lost even if it is promoted again (V10)', async () => {
    await using turned = await startRedis()
    await using other = await startRedis()
    await using it = await adopted({ watchMs: 3_600_000 }, turned)
    const { store } = it
    const proof = aProof()
    expect(await store.remember(proof, START, START + 1000)).toBe(true)
    await turned.cli('REPLICAOF', '127.0.0.1', String(other.port))
    await expect(store.count('agent', 1000, START)).rejects.toHaveProperty('cause.message', 'READONLY')
    await eventually(() => store.unhealthy()?.includes('replica'))
    await expect(store.adopt()).rejects.toMatchObject(unanswered)
    await turned.cli('REPLICAOF', 'NO', 'ONE')
    await eventually(() =>
      store.remember(proof, START, START + 1000).then(
        (answer) => answer === undefined,
        () => false,
      ),
    )
    await store.adopt()
    expect(store.unhealthy()).toBeUndefined()
  })

  it('does not mistake the same server with another history for the one before, without a replica being seen (V10)', async () => {
    await using turned = await startRedis()
    await using it = await adopted({ watchMs: 3_600_000 }, turned)
    await using other = await startRedis({ replicaOf: turned })
    await eventually(async () => (await other.cli('INFO', 'replication')).includes('master_link_status:up'))
    await it.store.adopt() // the first replica begins another history
    await it.store.remember('jti', START, START + 1000)
    await other.cli('REPLICAOF', 'NO', 'ONE')
    await other.cli('DEL', ...(await other.cli('KEYS', '*proof*')).split('\n'))
    // Set back to the other server's data: the epoch is there, and the process is the same.
    await turned.cli('REPLICAOF', '127.0.0.1', String(other.port))
    await eventually(async () => (await turned.cli('INFO', 'replication')).includes('master_link_status:up'))
    await turned.cli('REPLICAOF', 'NO', 'ONE')
    expect(await turned.cli('EXISTS', 'bailiwick:epoch')).toBe('1')
    expect(await it.store.remember('jti', START, START + 1000)).toBeUndefined()
    expect(await it.store.get(it.root)).toBeUndefined()
  })

  it('says that nothing is known within a second of a change to a policy that evicts, and adopts nothing until it is set back (V10)', async () => {
    const logger = aLogger()
    await using it = await adopted({ watchMs: 100, logger })
    const { store, root } = it
    await server.cli('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru')
    try {
      await eventually(() => store.unhealthy()?.includes('allkeys-lru'))
      expect(await store.epoch()).toBeUndefined()
      expect(await store.get(root)).toBeUndefined()
      expect(await store.advance(root, aTake())).toEqual({ outcome: 'absent' })
      expect(await store.remember(aProof(), START, START + 1000)).toBeUndefined()
      expect(await store.refill(root, aTree({ version: 9 }))).toBe(false)
      expect(await store.reset(root, aTree({ version: 9 }))).toBe(false)
      await expect(store.adopt()).rejects.toMatchObject(unanswered)
      await expect(openStore(server)).rejects.toMatchObject({ code: 'config_invalid' })
    } finally {
      await server.cli('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
    }
    await store.adopt()
    expect(store.unhealthy()).toBeUndefined()
    expect(await store.advance(root, aTake())).toEqual({ outcome: 'advanced' })
    expect(logger.lines.join()).toContain('allkeys-lru')
  })

  it('notices an evicted key by the next call, even if the policy was changed back by then (V10)', async () => {
    await using it = await adopted({ watchMs: 3_600_000 })
    const { store, root } = it
    const proof = aProof()
    await store.remember(proof, START, START + 1000)
    const used = Number(/used_memory:(\d+)/.exec(await server.cli('INFO', 'memory'))?.[1])
    await server.cli('CONFIG', 'SET', 'maxmemory-policy', 'volatile-ttl', 'maxmemory', String(used + 20_000))
    for (let n = 0; n < 40; n++) await server.cli('SET', `filler ${n}`, 'x'.repeat(2000))
    await server.cli('CONFIG', 'SET', 'maxmemory-policy', 'noeviction', 'maxmemory', '0')
    // Keys without an expiry stay, above all the epoch. Its presence alone proves nothing.
    expect(await server.cli('EXISTS', 'bailiwick:epoch')).toBe('1')
    expect(await server.cli('KEYS', 'bailiwick:proof:*')).toBe('')
    expect(await store.remember(proof, START, START + 1000)).toBeUndefined()
    expect(await store.advance(root, aTake())).toEqual({ outcome: 'absent' })
  })

  it('changes nothing in a server that is full, and says that it does not know', async () => {
    await using it = await adopted()
    const { store, root } = it
    await server.cli('CONFIG', 'SET', 'maxmemory', '1')
    try {
      await expect(store.advance(root, aTake())).rejects.toHaveProperty('cause.message', 'OOM')
      await expect(store.remember(aProof(), START, START + 1000)).rejects.toMatchObject(unanswered)
    } finally {
      await server.cli('CONFIG', 'SET', 'maxmemory', '0')
    }
    expect(await store.get(root)).toEqual(aTree())
  })

  it('sends its scripts again when the server has forgotten them', async () => {
    await using it = await adopted()
    await server.cli('SCRIPT', 'FLUSH')
    expect(await it.store.get(it.root)).toEqual(aTree())
  })

  it('of two installations keeps what is theirs apart', async () => {
    await using one = await adopted({ namespace: 'one' })
    await using two = await openStore(server, { namespace: 'two' })
    expect(await two.adopt()).not.toBe(await one.store.epoch())
    expect(await two.get(one.root)).toBeUndefined()
    await one.store.remember('jti', START, START + 1000)
    expect(await two.remember('jti', START, START + 1000)).toBe(true)
  })

  it('ends with its store: nothing is answered after that', async () => {
    const { store } = await adopted()
    await store[Symbol.asyncDispose]()
    await expect(store.remember(aProof(), START, START + 1000)).rejects.toMatchObject(unanswered)
    await expect(store.adopt()).rejects.toMatchObject(unanswered)
    const connected = async () =>
      (await server.cli('CLIENT', 'LIST')).split('\n').filter((c) => c.includes('bailiwick'))
    await eventually(async () => (await connected()).length === 0)
  })

  describe('with a password', () => {
    const secret = 'c4n4ry-c4n4ry'
    const as = (password: string) => ({ url: `redis://bailiwick:${password}@127.0.0.1:${server.port}` })
    beforeAll(async () => {
      const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8')
      const line = /^user bailiwick .*$/m.exec(readme)?.[0] ?? ''
      const [, name = '', ...rules] = line.replace('PASSWORD', secret).replace('NAMESPACE', 'bailiwick').split(' ')
      expect(await server.cli('ACL', 'SETUSER', name, ...rules)).toBe('OK')
    })

    it('needs no more than what the README grants its user, who can do nothing else', async () => {
      await using store = await openStore(as(secret))
      await store.adopt()
      const root = aRoot()
      await store.refill(root, aTree({ left: { calls: 2n }, labels: ['private'] }))
      const take = aTake({ labels: ['external'] })
      expect(await store.advance(root, take)).toEqual({ outcome: 'advanced' })
      await store.settle(root, { takeId: take.takeId, to: 3, giveBack: { calls: 1n } })
      expect(await store.reset(root, aTree())).toBe(true)
      expect(await store.get(root)).toEqual(aTree())
      expect(await store.remember(aProof(), START, START + 1000)).toBe(true)
      expect(await store.count('agent', 1000, START)).toBe(1)
      expect(await store.epoch()).toBeDefined()
      expect(store.unhealthy()).toBeUndefined()
      await expect(openStore(as(secret), { namespace: 'other' }).then((other) => other.adopt())).rejects.toMatchObject(
        unanswered,
      )
    })

    it('that is wrong is refused at the start, and stands in no error and no line (V17)', async () => {
      const logger = aLogger()
      const error = await openStore(as(`${secret}-wrong`), { logger }).catch((refused) => refused)
      expect(error).toMatchObject({ code: 'config_invalid', detail: expect.stringContaining('WRONGPASS') })
      expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('c4n4ry')
      expect(logger.lines.join()).not.toContain('c4n4ry')
    })

    it('that is changed while it runs ends the trust, and stands in no error and no line (V17)', async () => {
      const logger = aLogger()
      await using store = await openStore(as(secret), { logger })
      await store.adopt()
      await server.cli('ACL', 'SETUSER', 'bailiwick', 'resetpass', '>another')
      await server.cli('CLIENT', 'KILL', 'USER', 'bailiwick')
      await eventually(() => store.unhealthy() === 'WRONGPASS')
      const error = await store.remember(aProof(), START, START + 1000).catch((refused) => refused)
      expect(error).toMatchObject(unanswered)
      expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('c4n4ry')
      expect(logger.lines.join()).not.toContain('c4n4ry')
      await server.cli('ACL', 'SETUSER', 'bailiwick', 'resetpass', `>${secret}`)
      await eventually(() => store.unhealthy() === undefined)
    })
  })

  describe('over TLS', () => {
    let secure: RedisServer
    let tlsPort: number
    const pem = (name: string) => readFileSync(join(server.dir, name), 'utf8')
    beforeAll(async () => {
      const make = (...args: string[]) => execFileSync('openssl', args, { cwd: server.dir, stdio: 'pipe' })
      for (const name of ['ca', 'other']) {
        const subject = ['-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.crt`]
        make('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', ...subject)
      }
      make(
        ...['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=localhost'],
        ...['-addext', 'subjectAltName=DNS:localhost', '-keyout', 'server.key', '-out', 'server.csr'],
      )
      make(
        ...['x509', '-req', '-in', 'server.csr', '-CA', 'ca.crt', '-CAkey', 'ca.key', '-days', '2'],
        ...['-copy_extensions', 'copy', '-out', 'server.crt'],
      )
      tlsPort = server.port < 60_000 ? server.port + 1000 : server.port - 1000
      const file = (name: string) => join(server.dir, name)
      secure = await startRedis({
        config: {
          'tls-port': String(tlsPort),
          'tls-cert-file': file('server.crt'),
          'tls-key-file': file('server.key'),
          'tls-ca-cert-file': file('ca.crt'),
          'tls-auth-clients': 'no',
        },
      })
    })
    afterAll(() => secure?.[Symbol.asyncDispose]())

    it('is made with a server whose certificate the CA signed for that name', async () => {
      await using store = await openStore({ url: `rediss://localhost:${tlsPort}` }, { tls: { ca: pem('ca.crt') } })
      await store.adopt()
      expect(await store.remember(aProof(), START, START + 1000)).toBe(true)
    })

    it.each([
      ['another CA signed', 'localhost', 'other.crt'],
      ['is for another name', '127.0.0.1', 'ca.crt'],
    ])('is not made with one whose certificate %s', async (_, host, ca) => {
      await using store = await openStore({ url: `rediss://${host}:${tlsPort}` }, { tls: { ca: pem(ca) } })
      await expect(store.adopt()).rejects.toMatchObject(unanswered)
      expect(store.unhealthy()).toMatch(/CERT|SIGNATURE|ALTNAME/)
    })

    it('is not quietly left out where a CA is given', async () => {
      await expect(openStore(secure, { tls: { ca: pem('ca.crt') } })).rejects.toMatchObject({ code: 'config_invalid' })
    })
  })
})
