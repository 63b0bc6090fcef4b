import { existsSync, readFileSync } from 'node:fs'
import type { LocalPlace } from '@bailiwick/agent/sidecar'
import { systemClock, systemRandom } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { openProxy } from './open-proxy.ts'

const place: LocalPlace = {
  methods: new Set(['GET']),
  mostBytes: 0,
  hasPaths: true,
  exchange: async () => ({ status: 200, headers: [], body: Buffer.from('answered') }),
}
const options = { io: { random: systemRandom, clock: systemClock }, user: undefined, report: () => undefined }

it('gives a program the proxy, and the certificate for as long as it runs', async () => {
  const proxy = await openProxy([{ origin: 'https://api.example.com', path: '', place }], options)
  const { HTTPS_PROXY, http_proxy, ALL_PROXY, NO_PROXY, no_proxy, SSL_CERT_FILE = '', GIT_SSL_CAINFO } = proxy.env
  expect(HTTPS_PROXY).toMatch(/^http:\/\/bailiwick:[\w-]{32}@127\.0\.0\.1:\d+$/)
  expect([http_proxy, ALL_PROXY, NO_PROXY, GIT_SSL_CAINFO]).toEqual([HTTPS_PROXY, HTTPS_PROXY, no_proxy, SSL_CERT_FILE])
  expect(readFileSync(SSL_CERT_FILE, 'utf8')).toMatch(/^-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n$/)
  await proxy[Symbol.asyncDispose]()
  expect(existsSync(SSL_CERT_FILE)).toBe(false)
})

it('replaces no certificates where nothing is served over TLS', async () => {
  await using proxy = await openProxy([{ origin: 'http://api.example.com', path: '', place }], options)
  expect(Object.keys(proxy.env).filter((name) => /CERT|CA/.test(name))).toEqual([])
})
