import { existsSync, mkdtempDisposableSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { logger, metrics } from '@bailiwick/host'
import { seededRandom, testClock } from '@bailiwick/kit'
import { describe, expect, it } from 'vitest'
import { configSchema } from './config.ts'
import { type Plain, startPlain } from './start.ts'

const schema = `entity User { age: Long }; entity Doc; action read, write appliesTo { principal: User, resource: Doc, context: { n?: Long } };`
const entities = JSON.stringify([
  { uid: { type: 'User', id: 'anna' }, attrs: { age: 30 }, parents: [] },
  { uid: { type: 'User', id: 'tim' }, attrs: { age: 3 }, parents: [] },
  { uid: { type: 'Doc', id: 'plan' }, attrs: {}, parents: [] },
])
const adults = '@id("adults") permit (principal, action == Action::"read", resource) when { principal.age > 17 };'
const forbidAll = '@id("forbid-all") forbid (principal, action, resource);'
const broken = '@id("adults") permit (principal, action, resource) when { principal.agee > 17 };'

interface Running extends AsyncDisposable {
  plain: Plain
  folder: string
  put(files: Record<string, string>): void
  post(path: string, body?: unknown, headers?: Record<string, string>): Promise<{ status: number; text: string }>
}

async function running(files: Record<string, string>, env: Record<string, string> = {}): Promise<Running> {
  const folder = mkdtempDisposableSync(join(tmpdir(), 'bailiwick-plain-'))
  const put = (more: Record<string, string>) => {
    for (const [name, text] of Object.entries(more)) writeFileSync(join(folder.path, name), text)
  }
  put(files)
  const config = configSchema.parse({
    BAILIWICK_POLICIES: folder.path,
    BAILIWICK_DATA: join(folder.path, 'none'),
    BAILIWICK_PORT: '0',
    ...env,
  })
  const random = seededRandom(env.seed === undefined ? Math.floor(performance.now() * 1000) : Number(env.seed))
  const plain = await startPlain(config, {
    logger: logger({ service: 'test', level: 'silent' }),
    clock: testClock(),
    random,
    metrics: metrics({ service: 'test' }),
  }).catch((error) => {
    folder.remove()
    throw error
  })
  return {
    plain,
    folder: folder.path,
    put,
    async post(path, body, headers = {}) {
      const type = body === undefined ? {} : { 'content-type': 'application/json' }
      const text = typeof body === 'string' ? body : body === undefined ? null : JSON.stringify(body)
      const answer = await fetch(plain.url + path, { method: 'POST', headers: { ...type, ...headers }, body: text })
      return { status: answer.status, text: await answer.text() }
    },
    async [Symbol.asyncDispose]() {
      await plain[Symbol.asyncDispose]()
      folder.remove()
    },
  }
}

const set = { 'schema.cedarschema': schema, 'entities.json': entities, 'a.cedar': adults }
const ask = (id: string, name = 'read') => ({
  subject: { type: 'User', id },
  action: { name },
  resource: { type: 'Doc', id: 'plan' },
})
const evaluation = '/access/v1/evaluation'

/** The metrics about policies. */
const counted = async ({ plain }: Running) =>
  (await (await fetch(`${plain.url}/metrics`)).text()).split('\n').filter((line) => /^bailiwick_policy_/.test(line))

it('decides by compiled policies, and compares answers with Cedar once they are sent (V13)', async () => {
  await using pdp = await running(set, { BAILIWICK_COMPARE_ONE_IN: '1' })
  for (const id of ['anna', 'tim', 'anna', 'tim', 'stranger']) await pdp.post(evaluation, ask(id))
  await expect
    .poll(() => counted(pdp))
    .toEqual(
      expect.arrayContaining([
        'bailiwick_policy_answers_total{engine="compiled",why="",service="test"} 5',
        'bailiwick_policy_comparisons_total{result="different",service="test"} 0',
        'bailiwick_policy_comparisons_total{result="same",service="test"} 5',
      ]),
    )
})

describe('a plain decision point', () => {
  it('answers evaluations, boxcars and searches from its directory alone, the same again each time', async () => {
    await using pdp = await running(set)
    const twice = async (path: string, body: unknown) => {
      const [first, second] = [await pdp.post(path, body), await pdp.post(path, body)]
      expect(second).toEqual(first)
      expect(first.status).toBe(200)
      return JSON.parse(first.text)
    }
    const policy_set = pdp.plain.policies.current().hash
    expect(await twice(evaluation, ask('anna'))).toEqual({
      decision: true,
      context: { policies: ['adults'], policy_set },
    })
    expect(await twice(evaluation, ask('tim'))).toEqual({
      decision: false,
      context: { reason: 'policy_denied', policies: [], policy_set },
    })
    expect(await twice(evaluation, ask('eve'))).toMatchObject({
      decision: false,
      context: { reason: 'policy_error', policies: ['adults'] },
    })
    expect(await twice(evaluation, { ...ask('anna'), context: { n: 'x' } })).toMatchObject({
      decision: false,
      context: { reason: 'request_invalid' },
    })
    const boxcar = await twice('/access/v1/evaluations', {
      ...ask('anna'),
      evaluations: [{}, { action: { name: 'write' } }, { subject: { type: 'User', id: 'tim' } }],
    })
    expect(boxcar.evaluations.map(({ decision }: { decision: boolean }) => decision)).toEqual([true, false, false])
    const { subject, action, resource } = ask('anna')
    expect(await twice('/access/v1/search/subject', { subject: { type: 'User' }, action, resource })).toMatchObject({
      results: [{ type: 'User', id: 'anna' }],
    })
    expect(await twice('/access/v1/search/resource', { subject, action, resource: { type: 'Doc' } })).toMatchObject({
      results: [{ type: 'Doc', id: 'plan' }],
    })
    expect(await twice('/access/v1/search/action', { subject, resource })).toMatchObject({
      results: [{ name: 'read' }],
    })
    const answer = await fetch(`${pdp.plain.url}/.well-known/authzen-configuration`)
    expect(answer.headers.get('content-type')).toBe('application/json')
    const metadata = await answer.json()
    expect(metadata).toMatchObject({
      policy_decision_point: pdp.plain.url,
      search_action_endpoint: `${pdp.plain.url}/access/v1/search/action`,
    })
    expect(metadata).not.toHaveProperty('access_request_endpoint')
  })

  it('says in its metadata the name of this machine that it was asked by, and no name of another (§9.2.3)', async () => {
    await using pdp = await running(set)
    const { port } = new URL(pdp.plain.url)
    const told = async (host: string) => {
      const { promise, resolve } = Promise.withResolvers<Record<string, string>>()
      request({ port, host: '127.0.0.1', path: '/.well-known/authzen-configuration', headers: { host } }, (answer) => {
        void json(answer).then((value) => resolve(value as Record<string, string>))
      }).end()
      const { policy_decision_point, access_evaluation_endpoint } = await promise
      return [policy_decision_point, access_evaluation_endpoint]
    }
    for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`])
      expect(await told(host)).toEqual([`http://${host}`, `http://${host}${evaluation}`])
    // Among them, a web page's host name that was made to point to this machine.
    for (const host of ['pdp.example', `localhost.example:${port}`, '127.0.0.1.example', 'a b', 'x@127.0.0.1/x'])
      expect(await told(host)).toEqual([undefined, undefined])
    await using named = await running(set, { BAILIWICK_PUBLIC_URL: 'https://pdp.example' })
    const answer = await fetch(`${named.plain.url}/.well-known/authzen-configuration`)
    expect(await answer.json()).toMatchObject({ policy_decision_point: 'https://pdp.example' })
  })

  it('gives what policies oblige to, and denies a caller that says it cannot do it', async () => {
    const read = '@id("adults") @redact("iban") @notify("ops") permit (principal, action == Action::"read", resource);'
    const write = '@id("no") @notify("sec") forbid (principal, action == Action::"write", resource);'
    await using pdp = await running({ ...set, 'a.cedar': read, 'b.cedar': write })
    const decided = async (name: string, supported?: unknown) => {
      const context = supported === undefined ? {} : { supported_obligations: supported }
      return JSON.parse((await pdp.post(evaluation, { ...ask('anna'), action: { name }, context })).text)
    }
    const body = 'Allowed: User anna: read on Doc plan'
    const obligations = [
      { id: 'redact', type: 'custom', properties: { vendor: 'bailiwick', action: 'redact', fields: ['iban'] } },
      { id: 'notification-1', type: 'notification', properties: { to: 'ops', topic: 'policy adults', body } },
    ]
    expect(await decided('read')).toMatchObject({ decision: true, context: { obligations } })
    expect(await decided('read', ['notification', 'custom'])).toMatchObject({
      decision: true,
      context: { obligations },
    })
    expect(await decided('read', ['custom'])).toMatchObject({
      decision: false,
      context: { reason: 'obligation_unsupported' },
    })
    expect(await decided('write', [])).toMatchObject({
      decision: false,
      context: { reason: 'policy_denied', obligations: [{ type: 'notification', properties: { to: 'sec' } }] },
    })
    const metadata = await (await fetch(`${pdp.plain.url}/.well-known/authzen-configuration`)).json()
    expect(metadata).toMatchObject({
      supported_obligations: ['notification', 'custom'],
      bailiwick_obligations: ['redact', 'limit', 'report_outcome_by'],
    })
  })

  it('keeps 64 bits of what a body says', async () => {
    const policies = 'permit (principal, action, resource) when { context has n && context.n == 9007199254740993 };'
    await using pdp = await running({ ...set, 'a.cedar': policies })
    const asking = (n: string) => JSON.stringify({ ...ask('anna'), context: { n: 0 } }).replace('"n":0', `"n":${n}`)
    const decided = async (n: string) => JSON.parse((await pdp.post(evaluation, asking(n))).text).decision
    expect(await decided('9007199254740993')).toBe(true)
    expect(await decided('9007199254740992')).toBe(false)
    expect(await decided('9007199254740994')).toBe(false)
    // As a double, each of them would become the one integer that is permitted.
    pdp.put({ 'a.cedar': policies.replace('9007199254740993', '1') })
    expect((await pdp.post('/admin/reload')).status).toBe(200)
    expect(await decided('1')).toBe(true)
    for (const n of ['1.0', '1e0', '0.99999999999999999999', '1.00000000000000000001'])
      expect(await decided(n), n).toBe(false)
  })

  it.each(['__entity', '__extn', '__expr'])('refuses %s of a caller with 400', async (name) => {
    await using pdp = await running({ 'a.cedar': 'permit (principal, action, resource);' })
    const inside = { a: [{ [name]: { type: 'User', id: 'anna' } }] }
    const { subject, action, resource } = ask('anna')
    for (const body of [
      { ...ask('anna'), context: inside },
      { subject: { ...subject, properties: inside }, action, resource },
      { subject, action: { ...action, properties: inside }, resource },
      { subject, action, resource: { ...resource, properties: inside } },
    ])
      expect((await pdp.post(evaluation, body)).status).toBe(400)
    expect((await pdp.post(evaluation, ask('anna'))).status).toBe(200)
  })

  it('asks callers for the token, where one is configured, and elsewhere on this machine for none', async () => {
    using secrets = mkdtempDisposableSync(join(tmpdir(), 'bailiwick-plain-'))
    const file = join(secrets.path, 'token')
    writeFileSync(file, 'a-token-of-many-characters\n', { mode: 0o600 })
    await using pdp = await running(set, { BAILIWICK_CALLER_TOKEN_FILE: file })
    const as = (authorization: string) => pdp.post(evaluation, ask('anna'), { authorization })
    expect((await pdp.post(evaluation, ask('anna'))).status).toBe(401)
    expect((await as('Bearer a-token-of-many-character')).status).toBe(401)
    expect((await as('Basic a-token-of-many-characters')).status).toBe(401)
    expect((await as('Bearer a-token-of-many-characters')).status).toBe(200)
    await using open = await running(set)
    const described = async ({ url }: Plain) => {
      const description = await (await fetch(`${url}/access/v1/openapi.json`)).json()
      return (description as { security: unknown }).security
    }
    expect([await described(pdp.plain), await described(open.plain)]).toEqual([[{ caller: [] }], []])
  })

  it('takes no token that came in the clear, or that a proxy says nothing good of (V11)', async () => {
    using secrets = mkdtempDisposableSync(join(tmpdir(), 'bailiwick-plain-'))
    const file = join(secrets.path, 'token')
    writeFileSync(file, 'a-token-of-many-characters', { mode: 0o600 })
    const authorization = 'Bearer a-token-of-many-characters'
    const told = async (env: Record<string, string>, headers: Record<string, string>) => {
      await using pdp = await running(set, { BAILIWICK_CALLER_TOKEN_FILE: file, ...env })
      return (await pdp.post(evaluation, ask('anna'), { authorization, ...headers })).status
    }
    const behindProxy = { BAILIWICK_TLS: 'terminated' }
    expect(await told(behindProxy, { 'x-forwarded-proto': 'https' })).toBe(200)
    expect(await told(behindProxy, { 'x-forwarded-proto': 'http' })).toBe(401)
    expect(await told({}, {})).toBe(200)
    expect(await told({}, { 'x-forwarded-for': '203.0.113.1' })).toBe(401)
  })

  it('starts with nothing that is wrong', async () => {
    await expect(running({ ...set, 'a.cedar': broken })).rejects.toThrow(/a\.cedar.*agee/)
    await expect(running(set, { BAILIWICK_CALLER_TOKEN_FILE: '/nowhere/token' })).rejects.toThrow('/nowhere/token')
    await expect(running(set, { BAILIWICK_HOST: '0.0.0.0' })).rejects.toThrow('BAILIWICK_HOST')
    await expect(running(set, { BAILIWICK_HOST: '0.0.0.0', BAILIWICK_TLS: 'terminated' })).rejects.toThrow(
      'BAILIWICK_CALLER_TOKEN_FILE',
    )
    await expect(running(set, { BAILIWICK_POLICIES: '/nowhere' })).rejects.toThrow('/nowhere')
  })
})

describe('POST /admin/reload', () => {
  it.each<[why: string, files: Record<string, string>]>([
    ['what does not parse', { 'a.cedar': 'permit' }],
    ['what does not validate', { 'a.cedar': broken }],
    ['a template', { 'a.cedar': 'permit (principal == ?principal, action, resource);' }],
    ['an id twice', { 'a.cedar': adults + adults }],
    ['what Cedar gives up at', { 'a.cedar': `${adults.slice(0, -3)} && ${'('.repeat(500)}true${')'.repeat(500)} };` }],
    [
      'what it would give up at once it is asked',
      { 'a.cedar': `${adults.slice(0, -3)}${' || context has n'.repeat(1000)} };` },
    ],
    ['entities that do not fit', { 'entities.json': entities.replace('30', '"30"') }],
    ['a schema that is none', { 'schema.cedarschema': 'entity User in [Gone];' }],
    ['a wrong mapping', { 'authzen.yaml': 'types: { user: Unknown }' }],
  ])('refuses %s with 422 and says why, and the set before stays whole (V13)', async (_, files) => {
    await using pdp = await running({
      ...set,
      'b.cedar': '@id("tim") forbid (principal == User::"tim", action, resource);',
    })
    const bodies = () => Promise.all(['anna', 'tim', 'eve'].map((id) => pdp.post(evaluation, ask(id))))
    const before = await bodies()
    pdp.put(files)
    for (let n = 0; n < 3; n++) {
      const refused = await pdp.post('/admin/reload')
      expect(refused.status).toBe(422)
      expect(JSON.parse(refused.text)).toMatchObject({
        code: 'policies_invalid',
        detail: expect.stringContaining(Object.keys(files)[0] ?? ''),
      })
      expect(await bodies()).toEqual(before)
    }
    rmSync(join(pdp.folder, 'a.cedar'))
    rmSync(join(pdp.folder, 'b.cedar'))
    expect((await pdp.post('/admin/reload')).status).toBe(422)
    expect(await bodies()).toEqual(before)
  })

  it('is atomic: a question meanwhile is answered by one set or the other, and afterwards by the new one (V13)', async () => {
    await using pdp = await running(set)
    const sets = [adults, adults + forbidAll]
    const hashes = new Map<string, boolean>()
    hashes.set(pdp.plain.policies.current().hash, true)
    let active = pdp.plain.policies.current().hash
    for (let round = 1; round <= 12; round++) {
      const bad = round % 3 === 0
      pdp.put({ 'a.cedar': bad ? broken : (sets[round % 2] ?? '') })
      const asked = Promise.all(
        Array.from({ length: 12 }, (_, n) =>
          n % 2 === 0
            ? pdp.post(evaluation, ask('anna'))
            : pdp.post('/access/v1/evaluations', { ...ask('anna'), evaluations: [{}, {}, {}] }),
        ),
      )
      const reloaded = await pdp.post('/admin/reload')
      expect(reloaded.status).toBe(bad ? 422 : 200)
      if (!bad) {
        active = JSON.parse(reloaded.text).policy_set
        hashes.set(active, round % 2 === 0)
      }
      const after = JSON.parse((await pdp.post(evaluation, ask('anna'))).text)
      expect(after).toMatchObject({ decision: hashes.get(active), context: { policy_set: active } })
      for (const { text } of await asked) {
        const { evaluations = [JSON.parse(text)] } = JSON.parse(text)
        expect(new Set(evaluations.map(({ context }: typeof after) => context.policy_set)).size).toBe(1)
        for (const { decision, context } of evaluations) expect(decision).toBe(hashes.get(context.policy_set))
      }
    }
    expect(hashes.size).toBe(2)
  })

  it.each<[type: string, body: string]>([
    ['application/json', ''],
    ['application/json', '{}'],
    ['application/x-www-form-urlencoded', ''],
    ['application/x-www-form-urlencoded', 'now'],
    ['text/plain', 'please'],
    ['', ''],
  ])('accepts any body and type: %j with %j', async (type, body) => {
    await using pdp = await running(set)
    expect((await pdp.post('/admin/reload', body, { 'content-type': type })).status).toBe(200)
    pdp.put({ 'a.cedar': broken })
    expect((await pdp.post('/admin/reload', body, { 'content-type': type })).status).toBe(422)
  })

  it('is for this machine alone, and not for a page in its browser', async () => {
    await using pdp = await running(set)
    expect((await pdp.post('/admin/reload')).status).toBe(200)
    expect((await pdp.post('/admin/reload', undefined, { origin: 'https://evil.example' })).status).toBe(403)
    for (const name of ['x-forwarded-for', 'x-forwarded-proto', 'forwarded'])
      expect((await pdp.post('/admin/reload', undefined, { [name]: '203.0.113.1' })).status).toBe(403)
    using secrets = mkdtempDisposableSync(join(tmpdir(), 'bailiwick-plain-'))
    const file = join(secrets.path, 'token')
    writeFileSync(file, 'a-token-of-many-characters', { mode: 0o600 })
    await using front = await running(set, {
      BAILIWICK_CALLER_TOKEN_FILE: file,
      BAILIWICK_TLS: 'terminated',
      BAILIWICK_DATA: secrets.path,
    })
    expect((await front.post('/admin/reload')).status).toBe(404)
    const socketPath = join(secrets.path, `plain-${new URL(front.plain.url).port}.sock`)
    expect(statSync(socketPath).mode & 0o777).toBe(0o600)
    const { promise, resolve, reject } = Promise.withResolvers<number | undefined>()
    request({ socketPath, method: 'POST', path: '/admin/reload' }, (answer) => resolve(answer.resume().statusCode))
      .on('error', reject)
      .end()
    expect(await promise).toBe(200)
    await front.plain[Symbol.asyncDispose]()
    expect(existsSync(socketPath)).toBe(false)
  })
})
