import { describe, expect, it } from 'vitest'
import { aServer, listening, speak } from './http.fixture.ts'

const get = (path: string, ...fields: string[]) =>
  [`GET ${path} HTTP/1.1`, ...fields, 'Connection: close', '', ''].join('\r\n')

describe('a server that goes by its names', () => {
  const hosts = ['bailiwick.example', 'issuer', '0.0.0.0']
  const ask = async (raw: string, options = {}) => {
    await using fixture = await aServer({ hosts, ...options })
    const answer = await speak(await listening(fixture), raw)
    const code = /"code":"(\w+)"/.exec(answer)?.[1]
    return [Number(answer.split(' ')[1]), ...(code === undefined ? [] : [code])]
  }

  it.each([
    'bailiwick.example',
    'BAILIWICK.example:443',
    'bailiwick.example.',
    'issuer:8422',
    'localhost:8420',
    '127.0.0.1:8420',
    '127.1.2.3',
    '[::1]:8420',
  ])('answers %s', async (host) => {
    expect(await ask(get('/items/1', `Host: ${host}`))).toEqual([200])
  })

  it.each([
    ['a name that was made to point here (DNS rebinding)', ['Host: evil.example:8420']],
    ['a name that begins as ours', ['Host: bailiwick.example.evil.example']],
    ['a name that ends as ours', ['Host: evilbailiwick.example']],
    ['a name with loopback in it', ['Host: 127.0.0.1.evil.example']],
    ['another address', ['Host: 192.0.2.7:8420']],
    ['the address of any interface', ['Host: 0.0.0.0:8420']],
    ['a user before ours', ['Host: localhost@evil.example']],
    ['nothing', ['Host: ']],
    ['two', ['Host: localhost', 'Host: evil.example']],
    ['what is no host', ['Host: localhost/x']],
  ])('refuses %s before anything is read (V3)', async (_, fields) => {
    for (const path of ['/items/1', '/nothing', '/metrics']) {
      const [status, code] = await ask(get(path, ...fields))
      // Node itself refuses some of them.
      if (status === 400) continue
      expect([path, status, code]).toEqual([path, 421, 'host_unknown'])
    }
    const body = 'Content-Type: application/json\r\nContent-Length: 1000000'
    expect((await ask(get('/echo', ...fields, body).replace('GET', 'POST')))[0]).toBeOneOf([400, 421])
  })

  it('refuses HTTP/1.0 without a host', async () => {
    expect(await ask('GET /items/1 HTTP/1.0\r\n\r\n')).toEqual([421, 'host_unknown'])
  })

  it('answers probes under any address, and a collector of metrics where anyone may read them', async () => {
    for (const path of ['/healthz', '/readyz']) expect(await ask(get(path, 'Host: 10.1.2.3:8422'))).toEqual([200])
    expect(await ask(get('/metrics', 'Host: 10.1.2.3:8422'), { metricsFor: 'anyone' })).toEqual([200])
  })

  it('knows the loopback alone where it was given no names, and any where it was told so', async () => {
    expect(await ask(get('/items/1', 'Host: issuer'), { hosts: undefined })).toEqual([421, 'host_unknown'])
    expect(await ask(get('/items/1', 'Host: localhost'), { hosts: undefined })).toEqual([200])
    expect(await ask(get('/items/1', 'Host: evil.example'), { hosts: 'any' })).toEqual([200])
  })
})
