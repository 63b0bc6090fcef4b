import { describe, expect, it } from 'vitest'
import { action, asked, http, json, post, resource, serve, subject } from './routes.fixture.ts'
import { authZenPaths } from './routes.ts'

serve()

const doc = (id: string) => ({ resource: { type: 'doc', id } })
const decisionsOf = async (body: object): Promise<boolean[]> => {
  const answer = await post('evaluations', body)
  expect(answer.statusCode, answer.body).toBe(200)
  return answer.json().evaluations.map(({ decision }: { decision: boolean }) => decision)
}

describe('an evaluation (§6)', () => {
  it('is answered 200, decided or denied, as application/json and nothing else', async () => {
    for (const [id, decision] of [
      ['1', true],
      ['2', false],
    ] as const) {
      const answer = await post('evaluation', { subject, action, ...doc(id) })
      expect(answer.statusCode).toBe(200)
      expect(answer.headers['content-type']).toBe('application/json')
      expect(answer.json()).toEqual({ decision })
    }
  })

  it('has the nonce that the next proof needs in DPoP-Nonce too, alone and in a boxcar (RFC 9449 §8.2)', async () => {
    const ask = (id: string) => ({ subject, action, resource: { ...resource, id } })
    const nonceOf = async (path: string, payload: object) =>
      (await http.inject({ method: 'POST', url: `/access/v1/${path}`, headers: json, payload })).headers['dpop-nonce']
    expect(await nonceOf('evaluation', ask('14'))).toBe('nonce-14')
    expect(await nonceOf('evaluation', ask('2'))).toBeUndefined()
    expect(await nonceOf('evaluations', { evaluations: [ask('1'), ask('14'), ask('13')] })).toBe('nonce-14')
    expect(await nonceOf('evaluations', { evaluations: [ask('1'), ask('2')] })).toBeUndefined()
  })

  it('hears its members verbatim and ignores the unknown', async () => {
    const properties = { deep: { list: [1, null, { a: ' b ' }] } }
    const sent = {
      subject: { type: ' User', id: '', properties, other: 1 },
      action: { name: 'can read', properties },
      resource: { type: 'dóc', id: ' 1 ', properties },
      context: { time: 'now' },
      evaluation: 'no',
    }
    await post('evaluation', sent)
    const { evaluation: _, ...heard } = { ...sent, subject: { type: ' User', id: '', properties } }
    expect(asked).toEqual([heard])
  })

  it.each<[string, unknown]>([
    ['no object', '[]'],
    ['no body', ''],
    ['no JSON', '{"subject":'],
    ['a string', '"x"'],
    ['no subject', { action, resource }],
    ['no action', { subject, resource }],
    ['no resource', { subject, action }],
    ['null for a subject', { subject: null, action, resource }],
    ['a subject without a type', { subject: { id: 'a' }, action, resource }],
    ['a subject without an id', { subject: { type: 'a' }, action, resource }],
    ['an id that is a number', { subject: { type: 'a', id: 1 }, action, resource }],
    ['an action without a name', { subject, action: {}, resource }],
    ['a resource without an id', { subject, action, resource: { type: 'a' } }],
    ['properties in a list', { subject: { ...subject, properties: [] }, action, resource }],
    ['a context that is text', { subject, action, resource, context: 'x' }],
    ['null for a context', { subject, action, resource, context: null }],
    ['an entity reference', { subject, action, resource, context: { a: [{ __entity: {} }] } }],
    ['an entity reference in an unknown member', { subject, action, resource, note: [{ __entity: {} }] }],
    ['an extension value', { subject: { ...subject, properties: { __extn: {} } }, action, resource }],
    ['two keys that are equal', '{"subject":{"type":"a","id":"b"},"subject":{"type":"a","id":"c"}}'],
    ['two keys that are equal unescaped', '{"subject":1,"s\\u0075bject":2}'],
    ['a nest that is too deep', `{"context":${'['.repeat(40)}${']'.repeat(40)}}`],
    ['a lone surrogate', '{"context":{"a":"\\ud800"}}'],
    ['a number beyond exact precision', '{"context":{"a":9007199254740993}}'],
  ])('that is malformed is answered 400: %s', async (_, body) => {
    for (const path of ['evaluation', 'evaluations']) {
      const answer = await post(path, body)
      expect(answer.statusCode).toBe(400)
      expect(answer.headers['content-type']).toBe('application/problem+json')
    }
    expect(asked).toEqual([])
  })
})

describe('the binding (§10.1)', () => {
  const good = { subject, action, resource }

  it.each(['', 'Bearer stranger', 'Basic friend'])(
    'answers 401 to an unknown caller, and names the scheme to use: %j',
    async (authorization) => {
      for (const body of [good, 'no JSON']) {
        const answer = await post('evaluation', body, { ...json, authorization })
        expect(answer.statusCode).toBe(401)
        expect(answer.headers['www-authenticate']).toBe('Bearer realm="https://pdp.example"')
      }
    },
  )

  it.each(['bfe9eb29-ab87-4ca3-be83-a1d5d8305716', 'any thing; {at} "all"', 'é', 'x'.repeat(2000)])(
    'returns a request id unchanged with every answer: %s',
    async (id) => {
      const answers = [
        await post('evaluation', good, { ...json, 'x-request-id': id }),
        await post('evaluation', '{', { ...json, 'x-request-id': id }),
        await post('evaluation', good, { 'content-type': 'application/json', 'x-request-id': id }),
        await post('evaluation', good, { ...json, 'content-type': 'text/plain', 'x-request-id': id }),
      ]
      expect(answers.map(({ statusCode }) => statusCode)).toEqual([200, 400, 401, 400])
      for (const { headers } of answers) expect(headers['x-request-id']).toBe(id)
    },
  )

  it.each([
    ['application/json; charset=utf-8', 200],
    ['Application/JSON;charset="UTF-8"', 200],
    ['application/json; charset=iso-8859-1', 400],
    ['application/json; charset=utf-16', 400],
    ['text/json', 400],
    ['application/x-www-form-urlencoded', 400],
    ['text/plain', 400],
    ['application/json, application/json', 400],
  ])('takes JSON in UTF-8: %s', async (type, status) => {
    expect((await post('evaluation', good, { ...json, 'content-type': type })).statusCode).toBe(status)
  })

  it('takes no body that is encoded', async () => {
    const answer = await post('evaluation', good, { ...json, 'content-encoding': 'gzip' })
    expect(answer.statusCode).toBe(415)
  })

  it('answers 413 to what is too long, and decides nothing of it', async () => {
    const padded = { ...good, context: { a: 'x'.repeat(70_000) } }
    expect((await post('evaluation', padded)).statusCode).toBe(413)
    expect(
      (await post('evaluations', { evaluations: [{ ...good, context: { a: 'x'.repeat(100_000) } }] })).statusCode,
    ).toBe(413)
    expect((await post('search/subject', padded)).statusCode).toBe(413)
    expect(asked).toEqual([])
  })

  it('answers 405 to another method, and 404 where there is nothing', async () => {
    const answer = await http.inject({ method: 'GET', url: '/access/v1/evaluations' })
    expect([answer.statusCode, answer.headers.allow]).toEqual([405, 'POST'])
    expect((await post('search/subjects', good)).statusCode).toBe(404)
  })

  it('answers an internal error with 500, without details', async () => {
    const answer = await post('evaluation', { subject, action, ...doc('13') })
    expect(answer.statusCode).toBe(500)
    expect(answer.body).not.toContain('secret')
  })
})

it('describes every endpoint in OpenAPI, by the schemas that requests are read by', async () => {
  const answer = await http.inject({ method: 'GET', url: '/access/v1/openapi.json' })
  expect(answer.headers['content-type']).toContain('application/json')
  const { openapi, paths: all, components } = answer.json()
  const { '/v1/outcomes': outcomes, '/v1/open-calls': openCalls, ...paths } = all
  expect(outcomes.post.requestBody.content['application/json'].schema.anyOf).toMatchObject([
    { required: ['outcome'], additionalProperties: false },
    { required: ['outcomes'], properties: { outcomes: { type: 'array', minItems: 1, maxItems: 128 } } },
  ])
  expect(Object.keys(outcomes.post.responses)).toContain('200')
  expect(openCalls.post.requestBody.content['application/json'].schema.required).toEqual(['decisions', 'wait_ms'])
  expect(openapi).toBe('3.1.0')
  expect(Object.keys(paths).sort()).toEqual(Object.values(authZenPaths).sort())
  const required = Object.fromEntries(
    Object.entries<{ post: { requestBody: { content: Record<string, { schema: { required?: string[] } }> } } }>(
      paths,
    ).map(([path, { post }]) => [
      path.slice('/access/v1/'.length),
      post.requestBody.content['application/json']?.schema.required,
    ]),
  )
  expect(required).toEqual({
    evaluation: ['subject', 'action', 'resource'],
    evaluations: undefined,
    'search/subject': ['subject', 'action', 'resource'],
    'search/resource': ['subject', 'action', 'resource'],
    'search/action': ['subject', 'resource'],
  })
  for (const [, name] of answer.body.matchAll(/#\/components\/schemas\/(\w+)/g))
    expect(components.schemas).toHaveProperty(name ?? '')
})

describe('evaluations (§7)', () => {
  it('keep their order', async () => {
    expect(await decisionsOf({ subject, action, evaluations: ['3', '2', '1', '4'].map(doc) })).toEqual([
      true,
      false,
      true,
      false,
    ])
  })

  it("an item's own key replaces the default of that name, whole", async () => {
    const body = {
      subject: { ...subject, properties: { a: 1 } },
      action: { name: 'read', properties: { b: 1 } },
      resource,
      context: { c: 1, d: { e: 1 } },
      evaluations: [
        {},
        { subject: { type: 'user', id: 'bob' }, context: { d: {} } },
        { action: { name: 'write' }, context: {} },
      ],
    }
    await decisionsOf(body)
    const defaults = { subject: body.subject, action: body.action, resource, context: body.context }
    expect(asked).toEqual([
      defaults,
      { ...defaults, subject: { type: 'user', id: 'bob' }, context: { d: {} } },
      { ...defaults, action: { name: 'write' }, context: {} },
    ])
  })

  it('without an array, or with an empty one, are one evaluation', async () => {
    for (const more of [
      {},
      { evaluations: [] },
      { evaluations: [], options: { evaluations_semantic: 'deny_on_first_deny' } },
    ]) {
      const answer = await post('evaluations', { subject, action, resource, ...more })
      expect(answer.json()).toEqual({ decision: true })
    }
    expect((await post('evaluations', { subject, action, evaluations: [] })).statusCode).toBe(400)
  })

  it.each([
    ['execute_all', ['1', '2', '3', '4'], [true, false, true, false]],
    ['deny_on_first_deny', ['1', '3', '2', '5', '4'], [true, true, false]],
    ['deny_on_first_deny', ['1', '3'], [true, true]],
    ['permit_on_first_permit', ['2', '4', '1', '3'], [false, false, true]],
    ['permit_on_first_permit', ['2', '4'], [false, false]],
  ])('%s of %j: %j, and nothing is asked after the last (V9)', async (evaluations_semantic, ids, decisions) => {
    const body = { subject, action, evaluations: ids.map(doc), options: { evaluations_semantic, other: 1 } }
    expect(await decisionsOf(body)).toEqual(decisions)
    expect(asked).toHaveLength(decisions.length)
  })

  it.each<[string, object]>([
    ['an array that is none', { evaluations: {} }],
    ['null for an array', { evaluations: null }],
    ['options that are none', { evaluations: [{}], options: 'x' }],
    ['an unknown semantic', { evaluations: [{}], options: { evaluations_semantic: 'first' } }],
    ['a semantic in a list', { evaluations: [{}], options: { evaluations_semantic: ['execute_all'] } }],
    ['a default of a wrong type', { subject: 'alice', evaluations: [{}] }],
    ['a member of a default of a wrong type', { subject: { type: 7 }, evaluations: [{ subject }] }],
    ['an option with an entity reference', { evaluations: [{}], options: { x: { __entity: {} } } }],
    ['a default with an entity reference', { context: { __expr: '' }, evaluations: [{}] }],
  ])('are 400 as a whole: %s', async (_, body) => {
    expect((await post('evaluations', { subject, action, resource, ...body })).statusCode).toBe(400)
    expect(asked).toEqual([])
  })

  it('an error in one item denies that item only (V13)', async () => {
    const bad = [
      null,
      7,
      [],
      { resource: { type: 'doc' } },
      { subject: null },
      { context: { __entity: {} } },
      doc('13'),
      doc('12'),
    ]
    const evaluations = [doc('1'), ...bad, doc('3')]
    const answer = (await post('evaluations', { subject, action, resource, evaluations })).json()
    const decisions = answer.evaluations.map(({ decision }: { decision: boolean }) => decision)
    expect(decisions).toEqual([true, ...bad.map(() => false), true])
    const statuses = answer.evaluations
      .slice(1, -1)
      .map((item: { context: { error: { status: number } } }) => item.context.error.status)
    expect(statuses).toEqual([400, 400, 400, 400, 400, 400, 500, 429])
    expect(JSON.stringify(answer)).not.toContain('secret')
  })

  it('what no item and no default says is that item’s error', async () => {
    const answer = (await post('evaluations', { subject, evaluations: [{ action, resource }, { action }] })).json()
    expect(answer.evaluations).toEqual([
      { decision: true },
      { decision: false, context: { error: { status: 400, code: 'request_malformed', message: 'resource: missing' } } },
    ])
  })

  it('a default that lacks a member is completed by an item, and fails no other (certification 3.2.7)', async () => {
    const part = { type: 'doc', properties: { a: 1 } }
    const evaluations = [
      { resource: { id: '1' } },
      { resource: { type: 'paper', id: '3', properties: { b: 1 } } },
      {},
      { resource: { properties: { id: '5' } } },
      { resource: null },
      doc('5'),
    ]
    const answer = await post('evaluations', { subject, action, resource: part, evaluations })
    expect(answer.statusCode).toBe(200)
    expect(answer.json().evaluations.map(({ decision }: { decision: boolean }) => decision)).toEqual([
      true,
      true,
      false,
      false,
      false,
      true,
    ])
    expect(asked.map(({ resource }) => resource)).toEqual([
      { type: 'doc', id: '1' },
      { type: 'paper', id: '3', properties: { b: 1 } },
      { type: 'doc', id: '5' },
    ])
  })

  it('a default that lacks nothing completes nothing (V13)', async () => {
    const whole = { subject, action: { name: 'read', properties: {} }, resource: { type: 'doc', id: '1' } }
    const evaluations = [{ resource: { type: 'doc' } }, { subject: { id: 'bob' } }, { action: { properties: {} } }]
    expect(await decisionsOf({ ...whole, evaluations })).toEqual([false, false, false])
    expect(asked).toEqual([])
  })

  it('an error is a denial to deny_on_first_deny', async () => {
    const options = { evaluations_semantic: 'deny_on_first_deny' }
    expect(await decisionsOf({ subject, action, options, evaluations: [doc('1'), {}, doc('3')] })).toEqual([
      true,
      false,
    ])
  })

  it('are no more than the limit, and decide none of too many (V18)', async () => {
    expect(await decisionsOf({ subject, action, resource, evaluations: Array(64).fill({}) })).toHaveLength(64)
    asked.length = 0
    for (const count of [65, 10_000]) {
      const answer = await post('evaluations', { subject, action, resource, evaluations: Array(count).fill({}) })
      expect(answer.statusCode).toBe(400)
    }
    expect(asked).toEqual([])
  })

  it('defaults count for every item that they are written out in (V18)', async () => {
    const body = { subject, action, resource, context: { a: 'x'.repeat(50_000) }, evaluations: Array(60).fill({}) }
    expect((await post('evaluations', body)).statusCode).toBe(413)
    expect(asked).toEqual([])
  })
})
