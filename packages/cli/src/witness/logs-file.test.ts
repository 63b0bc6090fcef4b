import { encodeVkey } from '@bailiwick/tlog'
import { expect, it } from 'vitest'
import { parseLogs } from './logs-file.ts'
import { aLog, witnessKey } from './witness.fixture.ts'

const [a, b] = [aLog(), aLog({ name: 'log.example/bb' })].map(({ key }) => encodeVkey(key.verifier)) as [string, string]
const SUMDB = 'sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8'

it('reads a vkey a line, and an origin behind it where that is not the key’s name', () => {
  const logs = parseLogs(`# ours\n${a}\n\n  ${SUMDB}\tgo.sum database tree  \r\n${b} log.example/a\n#`)
  expect([...logs.keys()]).toEqual(['log.example/a', 'go.sum database tree'])
  expect(logs.get('log.example/a')?.map(({ name }) => name)).toEqual(['log.example/a', 'log.example/bb'])
})

it.each([
  ['nothing', '# no log\n', 'names no log'],
  ['another text', `${a}\nhello\n`, 'line 2 is not a vkey'],
  ['a cut key', a.slice(0, -4), 'line 1 is not a vkey'],
  ['the key of a witness', encodeVkey(witnessKey.verifier), 'line 1 is the key of a witness'],
  ['a key twice', `${a}\n${a}\n`, 'line 2 stands there twice'],
])('refuses %s', (_, text, detail) => {
  expect(() => parseLogs(text)).toThrowError(
    expect.objectContaining({ code: 'config_invalid', detail: expect.stringContaining(detail) }),
  )
})
