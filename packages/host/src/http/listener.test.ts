import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, lstat, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { aServer } from './http.fixture.ts'
import { assertListenerAllowed, listenOperator } from './listener.ts'

describe('a listener beyond this machine', () => {
  const beyond = [
    '0.0.0.0',
    '::',
    '',
    '192.168.1.2',
    '10.0.0.1',
    'example.org',
    'localhost.example.org',
    '127.0.0.1.example.org',
    '128.0.0.1',
    '::ffff:10.0.0.1',
  ]

  it.each(beyond)('is refused without TLS: %s', async (host) => {
    expect(() => assertListenerAllowed(host, undefined)).toThrow(/^config_invalid: BAILIWICK_HOST/)
    expect(() => assertListenerAllowed(host, 'terminated')).not.toThrow()
    expect(() => assertListenerAllowed(host, { certificate: '', key: '' })).not.toThrow()
    await using fixture = await aServer()
    await expect(fixture.server.listen({ host, port: 0 })).rejects.toMatchObject({ code: 'config_invalid' })
    expect(fixture.server.server.listening).toBe(false)
  })

  it.each(['127.0.0.1', '127.1.2.3', '::1', 'localhost', 'LOCALHOST', '::ffff:127.0.0.1'])(
    'is not what this is: %s',
    (host) => {
      expect(() => assertListenerAllowed(host, undefined)).not.toThrow()
    },
  )

  it('is allowed when TLS is terminated in front', async () => {
    await using fixture = await aServer({ tls: 'terminated' })
    await fixture.server.listen({ host: '0.0.0.0', port: 0 })
    expect(fixture.server.server.listening).toBe(true)
  })
})

describe('the operator socket', () => {
  let dir: string
  let path: string
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'op-'))
    await chmod(dir, 0o755) // the socket's privacy does not depend on the folder's
    path = join(dir, 'operator.sock')
  })
  afterEach(() => rm(dir, { recursive: true, force: true }))

  async function ask(url: string): Promise<number | undefined> {
    const [answer] = await once(request({ socketPath: path, path: url }).end(), 'response')
    return answer.resume().statusCode
  }

  it('is for this user alone, answers as any server, and goes with it', async () => {
    const fixture = await aServer()
    await listenOperator(fixture.server, path)
    const { mode } = await lstat(path)
    expect(mode & 0o777).toBe(0o600)
    expect(await readdir(dir)).toEqual(['operator.sock'])
    expect(await ask('/items/7')).toBe(200)
    expect(await ask('/metrics')).toBe(200)
    expect(await ask('/nothing')).toBe(404)
    await fixture.server.close()
    expect(existsSync(path)).toBe(false)
  })

  it('takes the place of one that a crash left behind', async () => {
    const stale = createServer().listen(path)
    await once(stale, 'listening')
    // A process that is killed does not unlink its socket. To simulate that, put the name back after the orderly close.
    await rename(path, `${path}.kept`)
    stale.close()
    await once(stale, 'close')
    await rename(`${path}.kept`, path)
    await using fixture = await aServer()
    await listenOperator(fixture.server, path)
    expect(await ask('/items/7')).toBe(200)
  })

  it('does not take it from a process that answers there', async () => {
    await using first = await aServer()
    await listenOperator(first.server, path)
    await using second = await aServer()
    await expect(listenOperator(second.server, path)).rejects.toMatchObject({ code: 'config_invalid' })
    await second.server.close()
    expect(await ask('/items/7')).toBe(200)
  })

  it('does not delete what is no socket, and says when the path is too long', async () => {
    await writeFile(path, 'precious')
    await using fixture = await aServer()
    await expect(listenOperator(fixture.server, path)).rejects.toMatchObject({ code: 'config_invalid' })
    expect((await lstat(path)).size).toBe(8)
    await expect(listenOperator(fixture.server, join(dir, 'x'.repeat(100)))).rejects.toThrow(/over 103 bytes/)
  })
})
