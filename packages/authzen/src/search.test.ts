import { describe, expect, it } from 'vitest'
import { PageTokens } from './page-tokens.ts'
import { action, clock, post, resource, searched, serve, subject } from './routes.fixture.ts'

serve()

describe('searches (§8)', () => {
  const find = async (
    page?: object,
    path = 'search/resource',
    body: object = { subject, action, resource: { type: 'doc' } },
  ) => {
    const answer = await post(path, { ...body, ...(page ? { page } : {}) })
    return { status: answer.statusCode, ...answer.json() }
  }

  it('give exactly { type, id } or { name }, all of them, each once, in one order', async () => {
    const names = ['a', 'b', 'c', 'd', 'e']
    expect(await find()).toEqual({ status: 200, results: names.map((id) => ({ type: 'doc', id })) })
    const bySubject = await find(undefined, 'search/subject', { subject: { type: 'user' }, action, resource })
    expect(bySubject).toEqual({ status: 200, results: names.map((id) => ({ type: 'user', id })) })
    const byAction = await find(undefined, 'search/action', { subject, resource })
    expect(byAction).toEqual({ status: 200, results: names.map((name) => ({ name })) })
  })

  it('ignore any id of what is searched for', async () => {
    for (const id of ['1', 7, null, {}]) {
      expect((await post('search/subject', { subject: { type: 'user', id }, action, resource })).statusCode).toBe(200)
      expect((await post('search/resource', { subject, action, resource: { type: 'doc', id } })).statusCode).toBe(200)
    }
    expect((await post('search/action', { subject, resource, action: 7 })).statusCode).toBe(200)
    for (const search of searched) expect(JSON.stringify(search)).not.toMatch(/"id":(7|null|\{)/)
  })

  it.each<[string, string, object]>([
    ['subject', 'no type', { subject: {}, action, resource }],
    ['subject', 'no subject', { action, resource }],
    ['subject', 'no resource id', { subject: { type: 'user' }, action, resource: { type: 'doc' } }],
    ['subject', 'no action', { subject: { type: 'user' }, resource }],
    ['resource', 'no subject id', { subject: { type: 'user' }, action, resource: { type: 'doc' } }],
    ['resource', 'no resource type', { subject, action, resource: { id: '1' } }],
    ['action', 'no resource id', { subject, resource: { type: 'doc' } }],
    ['action', 'a page that is text', { subject, resource, page: 'x' }],
    ['action', 'a limit that is text', { subject, resource, page: { limit: '1' } }],
    ['action', 'a limit below nothing', { subject, resource, page: { limit: -1 } }],
    ['action', 'a limit with a fraction', { subject, resource, page: { limit: 1.5 } }],
    ['action', 'a token that is a number', { subject, resource, page: { token: 1 } }],
    ['action', 'a token that is none', { subject, resource, page: { token: '' } }],
    ['action', 'page properties in a list', { subject, resource, page: { properties: [] } }],
  ])('search/%s that is malformed is answered 400: %s', async (path, _, body) => {
    expect((await post(`search/${path}`, body)).statusCode).toBe(400)
  })

  it('are given page by page, with or without the limit again', async () => {
    const first = await find({ limit: 2 })
    expect(first).toMatchObject({ page: { count: 2, total: 5 }, results: [{ id: 'a' }, { id: 'b' }] })
    const second = await find({ token: first.page.next_token })
    expect(second).toMatchObject({ page: { count: 2 }, results: [{ id: 'c' }, { id: 'd' }] })
    const last = await find({ token: second.page.next_token, limit: 2 })
    expect(last).toMatchObject({ page: { next_token: '', count: 1, total: 5 }, results: [{ id: 'e' }] })
    expect(await find({ limit: 5 })).toMatchObject({ page: { next_token: '' } })
    expect((await find({})).results).toHaveLength(5)
    expect(await find({ limit: 0 })).toMatchObject({ page: { count: 0, total: 5 }, results: [] })
  })

  it('a token is valid only for the request that it was given for, with members in any order', async () => {
    const { token } = { token: (await find({ limit: 2 })).page.next_token }
    const reordered = { resource: { type: 'doc' }, subject: { id: 'alice', type: 'user' }, action }
    expect(await find({ token }, 'search/resource', reordered)).toMatchObject({ status: 200 })
    for (const body of [
      { subject: { ...subject, id: 'bob' }, action, resource: { type: 'doc' } },
      { subject, action: { name: 'write' }, resource: { type: 'doc' } },
      { subject, action, resource: { type: 'doc' }, context: {} },
      { subject, action, resource: { type: 'doc', properties: {} } },
    ])
      expect(await find({ token }, 'search/resource', body)).toMatchObject({ status: 400 })
    expect(await find({ token }, 'search/subject', { subject, action, resource })).toMatchObject({ status: 400 })
    expect(await find({ token, limit: 3 })).toMatchObject({ status: 400 })
  })

  it('a token without a life is the same whenever the same is asked', () => {
    let now = 0
    const tokens = new PageTokens({ key: new Uint8Array(32), now: () => now++ })
    expect(tokens.seal({ a: 1 }, { limit: 2 })).toBe(tokens.seal({ a: 1 }, { limit: 2 }))
    expect(tokens.open({ a: 1 }, tokens.seal({ a: 1 }, { limit: 2 }))).toEqual({ limit: 2 })
  })

  it('a token that anybody changed, or that is over, is refused', async () => {
    const token: string = (await find({ limit: 2 })).page.next_token
    const bytes = Buffer.from(token, 'base64url')
    for (const at of bytes.keys()) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] ?? 0) ^ 1
      expect((await find({ token: changed.toString('base64url') })).status).toBe(400)
    }
    for (const wrong of [`${token}=`, token.slice(0, 40), 'a3M9NDU2O3N6PTI='])
      expect((await find({ token: wrong })).status).toBe(400)
    clock.advance(60_000)
    expect(await find({ token })).toMatchObject({ status: 400, detail: 'page.token: over' })
  })
})
