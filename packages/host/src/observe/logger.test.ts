import { Buffer } from 'node:buffer'
import { ServiceError } from '@bailiwick/errors'
import { testClock } from '@bailiwick/kit'
import { describe, expect, it } from 'vitest'
import { type LogLevel, logger } from './logger.ts'

const SECRET = 'hunter2-hunter2-hunter2'
const JWS = `${Buffer.from('{"alg":"ES256"}').toString('base64url')}.${Buffer.from('{"sub":"x"}').toString('base64url')}.c2lnbmF0dXJl`

function recorder(level: LogLevel = 'info') {
  const lines: string[] = []
  const log = logger({
    service: 'issuer',
    level,
    clock: testClock(0),
    destination: { write: (line) => void lines.push(line) },
  })
  return {
    log,
    lines,
    text: () => lines.join(''),
    last: () => JSON.parse(lines.at(-1) ?? '{}') as Record<string, unknown>,
  }
}

it('writes one line of JSON with level, time of the clock and service', () => {
  const { log, lines, last } = recorder()
  log.info({ grant: 'grt_1' }, 'minted')
  log.debug('not at this level')
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatch(/^\{.*\}\n$/)
  expect(last()).toEqual({
    level: 'info',
    time: '1970-01-01T00:00:00.000Z',
    service: 'issuer',
    grant: 'grt_1',
    msg: 'minted',
  })
})

describe('a secret in a line (V17)', () => {
  it.each<[string, object]>([
    ['authorization', { authorization: SECRET }],
    ['Authorization of headers', { headers: { Authorization: `DPoP ${SECRET}`, accept: '*/*' } }],
    ['dpop', { headers: { dpop: SECRET } }],
    ['cookies', { a: { b: { c: { d: { e: { cookie: SECRET, 'set-cookie': [SECRET, SECRET] } } } } } }],
    ['client_assertion', { body: { client_assertion: SECRET } }],
    ['assertion', { assertion: { response: { signature: SECRET } } }],
    ['jws', { events: [{ jws: SECRET }] }],
    ['tokens', { token: SECRET, access_token: SECRET, subjectToken: SECRET, tokens: [SECRET] }],
    ['private key', { jwk: { kty: 'EC', d: SECRET } }],
    ['raw headers', { rawHeaders: ['authorization', SECRET] }],
    ['password', { password: SECRET, client_secret: SECRET, proof: SECRET }],
    [
      'a PEM',
      { note: `-----BEGIN PRIVATE KEY-----\n${SECRET.replaceAll('-', '')}\n-----END PRIVATE KEY-----`, secret: SECRET },
    ],
  ])('is not written: %s', (_name, fields) => {
    const { log, text } = recorder('trace')
    log.info(fields, 'x')
    log.child(fields).info('child')
    log.child({ deep: fields }).child({ more: 1 }).warn({ also: fields }, 'child of a child')
    expect(text()).not.toContain('hunter2')
    expect(text()).toContain('[redacted]')
    expect(text().trim().split('\n')).toHaveLength(3)
  })

  it('is not written in a message, an argument or a value of any name', () => {
    const { log, text } = recorder('trace')
    log.info(`got ${JWS}`)
    log.info('got %s and %o', JWS, { x: JWS })
    log.info({ anything: [`Authorization: Bearer ${SECRET}`], url: `/cb?x=${JWS}` })
    log.error(new Error(`while reading ${JWS}: dpop ${SECRET}`))
    expect(text()).not.toContain(JWS)
    expect(text()).not.toContain('hunter2')
    expect(text().match(/\[redacted\]/g)?.length).toBeGreaterThanOrEqual(6)
  })

  it('is not written when code logs a whole request or reply', () => {
    const { log, text, last } = recorder('trace')
    const raw = {
      method: 'POST',
      url: `/x?q=${SECRET}`,
      headers: { authorization: SECRET, 'x-mine': SECRET },
      socket: {},
    }
    log.info(raw)
    log.info({ req: raw, res: { statusCode: 200, getHeaders: SECRET } }, 'x')
    expect(text()).not.toContain('hunter2')
    expect(last()).toMatchObject({ req: { method: 'POST' }, res: { status: 200 } })
  })

  it('leaves the line of JSON whole, with everything else in it', () => {
    const { log, last } = recorder()
    log.info({ token: SECRET, tokens: 3, grant: 'grt_1', nested: { dpop: null, list: [1, 'two'] } }, 'kept')
    expect(last()).toMatchObject({ grant: 'grt_1', tokens: 3, nested: { dpop: null, list: [1, 'two'] }, msg: 'kept' })
  })

  it('is looked for in time proportional to the line', () => {
    const { log } = recorder()
    const started = performance.now()
    log.info({
      note: 'eyJ-'.repeat(100_000),
      more: 'Bearer '.repeat(50_000),
      pem: '-----BEGIN PRIVATE KEY-----'.repeat(10_000),
    })
    expect(performance.now() - started).toBeLessThan(1000)
  })
})

describe('an error in a line', () => {
  it('is its code and detail when it is ours', () => {
    const { log, last } = recorder()
    log.warn(new ServiceError('grant_unknown', 'grt_1'))
    expect(last()).toMatchObject({ err: { code: 'grant_unknown', detail: 'grt_1' }, msg: 'grant_unknown' })
    expect(Object.keys(last().err as object)).toEqual(['code', 'detail'])
  })

  it('is internal with its place, never its message, when it is not ours (V17)', () => {
    const { log, last, text } = recorder()
    const foreign = Object.assign(new TypeError(`bad value\n    ${SECRET}`), {
      code: 'ERR_X',
      detail: SECRET,
      value: SECRET,
    })
    log.error({ err: foreign })
    log.error({ err: new ServiceError('outcome_unknown', 'grants.v1', { cause: foreign }) }, 'publish')
    log.error(foreign, 'said')
    log.error({ error: foreign, cause: foreign }, '%s', foreign)
    expect(text()).not.toContain('hunter2')
    expect(last()).toMatchObject({ error: { code: 'internal', name: 'TypeError', system: 'ERR_X' }, msg: 'internal' })
    expect(text()).toContain('logger.test.ts')
    expect(text()).toContain('"msg":"publish"')
    expect(text()).toContain('"msg":"said"')
    expect(text()).toContain('"code":"outcome_unknown","detail":"grants.v1","cause":{"code":"internal"')
  })

  it('has its message when the operator asked for debug', () => {
    const { log, last } = recorder('debug')
    log.error(new Error('MDB_MAP_FULL'))
    expect(last()).toMatchObject({ err: { message: 'MDB_MAP_FULL' }, msg: 'internal' })
  })
})
