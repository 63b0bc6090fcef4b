import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { paths } from '@bailiwick/installation'
import { encodeVkey, SIGNATURE_TYPE, SignerKey } from '@bailiwick/tlog'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { writeLog } from '../audit/write-log.ts'
import { builtGo, logVerifier, missingPrograms, run } from './programs.ts'

const key = new SignerKey('log.example/go', new Uint8Array(32).fill(3), SIGNATURE_TYPE.ED25519)
const vkey = encodeVkey(key.verifier)
const size = 700

describe.skipIf(process.env.CI !== 'true' && missingPrograms().length > 0)('the log, read by Go', () => {
  const data = mkdtempSync(join(tmpdir(), 'log-in-go-'))
  const { log, logKey } = paths(data)
  let verifyLog = ''
  beforeAll(async () => {
    verifyLog = await builtGo(data, logVerifier)
    mkdirSync(dirname(logKey), { recursive: true })
    writeFileSync(logKey, key.toSkey())
    const entry = (n: number) => Buffer.from(JSON.stringify({ n, pad: 'x'.repeat(n % 90) }))
    writeLog(
      data,
      Array.from({ length: size }, (_, n) => entry(n)),
    )
  }, 300_000)
  afterAll(() => rmSync(data, { recursive: true }))

  it('is complete, from a folder and from an address (V14)', async () => {
    const whole = { code: 0, out: `OK ${size} entries of log.example/go\n` }
    expect(await run(verifyLog, [log, vkey])).toMatchObject(whole)
    const server = createServer((request, response) => {
      try {
        response.end(readFileSync(join(log, request.url ?? '')))
      } catch {
        response.writeHead(404).end()
      }
    }).listen(0, '127.0.0.1')
    await new Promise((listening) => server.once('listening', listening))
    await using _closed = { [Symbol.asyncDispose]: async () => void server.close() }
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    expect(await run(verifyLog, [address, vkey])).toMatchObject(whole)
  })

  it('is refused with one byte changed in any of its files, and by another key (V14)', async () => {
    const files = readdirSync(log, { recursive: true, encoding: 'utf8' }).filter((name) =>
      statSync(join(log, name)).isFile(),
    )
    // Three tiles and three bundles of leaves, one tile above, the checkpoint.
    expect(files).toHaveLength(8)
    for (const file of files) {
      const bad = join(data, 'bad')
      cpSync(log, bad, { recursive: true })
      const bytes = readFileSync(join(bad, file))
      bytes[20] = (bytes[20] ?? 0) ^ 1
      writeFileSync(join(bad, file), bytes)
      const { code, out } = await run(verifyLog, [bad, vkey])
      expect([code, out.slice(0, 4)], file).toEqual([1, 'BAD '])
      rmSync(bad, { recursive: true })
    }
    const other = new SignerKey('log.example/go', new Uint8Array(32).fill(4), SIGNATURE_TYPE.ED25519)
    expect(await run(verifyLog, [log, encodeVkey(other.verifier)])).toMatchObject({ code: 1 })
    expect(await run(verifyLog, [log, 'no key'])).toMatchObject({ code: 2 })
  })
})
