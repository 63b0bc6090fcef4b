import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { sha256 } from '@bailiwick/credentials'
import type { InitialEntities } from '@bailiwick/installation'
import { sample } from '@bailiwick/standalone/sample'
import { expect, it } from 'vitest'
import { agentId, type CallAsk, read, strangersKey } from '../e2e/agent-side.ts'
import { type Granted, granted } from '../e2e/granted.ts'
import type { WorldOptions } from '../e2e/world.ts'

const secret = randomBytes(32).toString('base64url')
const short = 'correct-horse-battery'

type Points = Extract<InitialEntities[number], { type: 'enforcement-point' }>['value']

/** The sample's enforcement point, modified. */
const points = (change: (point: Points) => Points[]): WorldOptions => ({
  entities: (entities) =>
    entities.flatMap(
      (entity): InitialEntities =>
        entity.type === 'enforcement-point'
          ? change(entity.value).map((value) => ({ type: entity.type, value }))
          : [entity],
    ),
})

/** The sample's point with a bearer secret, next to the other points that are named. */
const withBearer = (...others: { id: string; hash: string }[]): WorldOptions =>
  points((point) => [
    { ...point, bearer_sha256: sha256(secret) },
    ...others.map(({ id, hash }) => ({ ...point, id, bearer_sha256: hash })),
  ])

interface Sent {
  path?: string
  authorization?: string
  headers?: Record<string, string>
  from?: string
}

const send = (system: Granted, body: unknown, { path = 'evaluation', authorization, headers, from }: Sent = {}) =>
  system.world.http.inject({
    method: 'POST',
    url: `/access/v1/${path}`,
    headers: {
      authorization: authorization ?? `Bearer ${system.point.assertion()}`,
      'content-type': 'application/json',
      ...headers,
    },
    payload: typeof body === 'string' ? body : JSON.stringify(body),
    ...(from === undefined ? {} : { remoteAddress: from }),
  })

const reasons = (answer: { evaluations: { decision: boolean; context: { reason?: string } }[] }) =>
  answer.evaluations.map(({ decision, context }) => (decision ? true : context.reason))

it('a bearer secret identifies the point only where it cannot have been read on the way (V11)', async () => {
  const shared = randomBytes(32).toString('base64url')
  await using system = await granted(
    withBearer(
      { id: 'weak-point', hash: sha256(short) },
      { id: 'one-of-two', hash: sha256(shared) },
      { id: 'other-of-two', hash: sha256(shared) },
    ),
  )
  const { point, credential } = system
  const authorization = `Bearer ${secret}`
  const body = () => point.body({ credential, ...read }).body
  const wrong: [string, Sent][] = [
    ['from another machine in plain HTTP', { authorization, from: '10.1.2.3' }],
    ['through a proxy in plain HTTP', { authorization, headers: { 'x-forwarded-for': '10.1.2.3' } }],
    ['by a proxy that received it in plain HTTP', { authorization, headers: { 'x-forwarded-proto': 'http' } }],
    ['its hash, which is public', { authorization: `Bearer ${sha256(secret)}` }],
    ['a part of it', { authorization: `Bearer ${secret.slice(0, 42)}` }],
    ['more than it', { authorization: `Bearer ${secret}A` }],
    ['another scheme', { authorization: `Basic ${secret}` }],
    ['a secret that can be guessed', { authorization: `Bearer ${short}` }],
    ['a secret that two points share', { authorization: `Bearer ${shared}` }],
  ]
  for (const [what, sent] of wrong) {
    for (const path of ['evaluation', 'evaluations', 'search/resource']) {
      const answer = await send(system, body(), { ...sent, path })
      expect([what, answer.statusCode]).toEqual([what, 401])
      expect(answer.headers['www-authenticate']).toBe(`Bearer realm="${system.world.url}"`)
      expect(answer.body).not.toContain(secret)
    }
  }
  expect(system.taken()).toBe(0n)

  const answer = (await send(system, body(), { authorization })).json()
  expect(answer).toMatchObject({ decision: true })
  const event = await system.event(answer.context.decision_id)
  expect(event.data).toMatchObject({ enforcement_point: sample.enforcementPoint })
  expect(JSON.stringify(await system.world.events('decisions.v1'))).not.toContain(secret)
  // The secret allows no more than the point's key: a resource outside its scope stays refused.
  const outside = point.body({ credential, resource: { type: 'dataset', id: 'hr' } }).body
  expect((await send(system, outside, { authorization })).json()).toMatchObject({
    context: { reason: 'pep_out_of_scope' },
  })
})

it('a stolen assertion expires after its minute, at every endpoint', async () => {
  await using system = await granted()
  const { point, credential, world } = system
  const stolen = { authorization: `Bearer ${point.assertion()}` }
  const { body } = point.body({ credential, ...read })
  world.ahead += 66_000
  for (const path of ['evaluation', 'evaluations', 'search/subject', 'search/resource', 'search/action'])
    expect((await send(system, body, { ...stolen, path })).statusCode).toBe(401)
  expect(system.taken()).toBe(0n)
})

it('a boxcar of 10,000 is refused whole, and a stranger’s is refused unread (V18)', async () => {
  await using system = await granted()
  const evaluations = Array(10_000).fill({})
  const body = { ...system.point.body({ credential: system.credential, ...read }).body, evaluations }
  expect((await send(system, body, { path: 'evaluations' })).statusCode).toBe(400)
  const huge = { a: 'x'.repeat(2_000_000) }
  expect((await send(system, huge, { path: 'evaluations' })).statusCode).toBe(413)
  expect((await send(system, huge, { path: 'evaluations', authorization: 'Bearer x' })).statusCode).toBe(401)
  expect(system.taken()).toBe(0n)
})

it("an item with another agent's credential or subject is denied, and the other items are unaffected (V6, V11)", async () => {
  await using system = await granted()
  const { point, credential } = system
  const item = (ask: CallAsk) => point.body({ credential, ...read, ...ask }).body
  const stolen = item({})
  const evaluations = [
    item({}),
    item({ proofKey: strangersKey() }),
    item({ subject: agentId('forecaster') }),
    item({ observed: { credential: `${credential.slice(0, -8)}AAAAAAAA` } }),
    // The first item's proof, used for an action of the attacker's own.
    { ...item({ tool: 'adjust', properties: { amount: '1', currency: 'EUR' } }), context: stolen.context },
    item({ observed: { credential: 7 } }),
    item({}),
  ]
  const answer = (await send(system, { evaluations }, { path: 'evaluations' })).json()
  expect(reasons(answer)).toEqual([
    true,
    'proof_key_mismatch',
    'grant_agent_mismatch',
    'credential_invalid',
    'action_digest_mismatch',
    undefined,
    true,
  ])
  expect(answer.evaluations[5].context).toMatchObject({ error: { status: 400 } })
  expect(system.taken()).toBe(2n)
})

it.each<[string, (good: string) => string]>([
  ['evaluations twice', (good) => good.replace('{', '{"evaluations":[],')],
  ['a subject twice in an item', (good) => good.replace('"subject":', '"subject":{"type":"a","id":"b"},"subject":')],
  ['a credential twice', (good) => good.replace('"credential":', '"credential":"x","credential":')],
  ['33 deep', (good) => good.replace('"context":{', `"context":{"a":${'['.repeat(33)}${']'.repeat(33)},`)],
  ['something behind it', (good) => `${good}{}`],
  ['half of it', (good) => good.slice(0, good.length / 2)],
])('a boxcar with %s decides nothing', async (_, change) => {
  await using system = await granted()
  const good = JSON.stringify({ evaluations: [system.point.body({ credential: system.credential, ...read }).body] })
  expect((await send(system, change(good), { path: 'evaluations' })).statusCode).toBe(400)
  expect(system.taken()).toBe(0n)
  expect(reasons((await send(system, good, { path: 'evaluations' })).json())).toEqual([true])
})

it('a body that never ends is not decided on, however much of it arrived (V13)', async () => {
  await using system = await granted()
  const { point, credential, world } = system
  const address = new URL(await world.http.listen({ port: 0 }))
  const body = JSON.stringify(point.body({ credential, ...read }).body)
  const head = (...fields: string[]) =>
    [
      'POST /access/v1/evaluation HTTP/1.1',
      'Host: localhost',
      `Authorization: Bearer ${point.assertion()}`,
      'Content-Type: application/json',
      ...fields,
      '\r\n',
    ].join('\r\n')
  const speak = async (text: string, { goes = true } = {}): Promise<string> => {
    const { promise, resolve } = Promise.withResolvers<string>()
    const socket = connect(Number(address.port), address.hostname)
    let heard = ''
    socket.on('data', (part) => {
      heard += part
    })
    socket.on('close', () => resolve(heard)).on('error', () => resolve(heard))
    if (goes) socket.end(text)
    else socket.write(text)
    return promise
  }
  const chunk = `${Buffer.byteLength(body).toString(16)}\r\n${body}\r\n`
  // All of an evaluation, with more announced than sent: by a length, by a chunk, or without the final chunk.
  for (const text of [
    `${head(`Content-Length: ${Buffer.byteLength(body) + 1}`)}${body}`,
    `${head('Transfer-Encoding: chunked')}${chunk}`,
    `${head('Transfer-Encoding: chunked')}${chunk}5\r\n{`,
  ])
    expect(await speak(text)).not.toContain('"decision"')
  // A part of it, although the rest follows.
  expect(await speak(`${head(`Content-Length: ${body.length - 1}`, 'Connection: close')}${body}`)).toMatch(
    /^HTTP\/1\.1 400 /,
  )
  for (const encoding of ['gzip', 'identity, gzip'])
    expect(await speak(`${head(`Content-Length: ${body.length}`, `Content-Encoding: ${encoding}`)}${body}`)).toMatch(
      /^HTTP\/1\.1 415 /,
    )
  expect(system.taken()).toBe(0n)
  // The same proof: if any of the attempts had been decided, this would be a replay.
  const whole = `${head('Transfer-Encoding: chunked', 'Connection: close')}${chunk}0\r\n\r\n`
  expect(await speak(whole, { goes: false })).toContain('"decision":true')
  expect(system.taken()).toBe(1n)
})

it('a search reveals nothing that the point may not ask about, and nothing about another agent (V11)', async () => {
  const resources = [{ type: 'tool', id: `${sample.toolServer}/adjust` }]
  await using system = await granted(points((point) => [{ ...point, resources }]))
  const { point, credential } = system
  const body = (ask: CallAsk) =>
    point.body({ credential, ...ask, proof: { actionDigest: undefined }, observed: { action_digest: undefined } }).body
  const search = async (ask: CallAsk, over: object = {}) =>
    (await send(system, { ...body(ask), ...over }, { path: 'search/resource' })).json().results
  expect(await search(read)).toEqual([])
  const priced = { properties: { amount: '1', currency: 'EUR' } }
  expect(await search(priced)).toEqual([{ type: 'tool', id: `${sample.toolServer}/adjust` }])
  expect(await search({ ...priced, subject: agentId('forecaster') })).toEqual([])
  expect(await search(priced, { context: {} })).toEqual([])
})
