import { describe, expect, it } from 'vitest'
import { sessionActionOf } from './session-action.ts'
import { isReserved, reservedPlaces, sessionEntry } from './session-entry.ts'

const entry = (more: object = {}) => ({
  url: 'http://127.0.0.1:1',
  login: {
    page: '/login',
    fields: { user: 'svc', p: `\${secret:env:X}` },
    success: { cookie: 'sid' },
  },
  logout: 'POST /logout',
  token: { input: 'csrf', field: 'csrf' },
  operations: { list: { request: 'GET /records' } },
  ...more,
})
const operation = (more: object) => ({
  operations: { it: { request: 'POST /records', body: { form: ['text'] }, ...more } },
})

describe('an entry', () => {
  it.each<[string, object, string]>([
    [
      'an operation on the login page',
      operation({ request: 'GET /login', body: undefined }),
      'the gateway itself uses this page',
    ],
    ['one on it in other letters', operation({ request: 'POST /Login/' }), 'the gateway itself uses this page'],
    ['one on the log-out', operation({ request: 'POST /logout' }), 'the gateway itself uses this page'],
    [
      'one on a closed page',
      { closed: ['/me'], ...operation({ request: 'GET /me/password', body: undefined }) },
      'uses this page',
    ],
    ['any fields', operation({ body: { form: 'any' } }), 'not any'],
    ['files', operation({ body: { opaque: ['application/pdf'] } }), 'files are not passed on'],
    ['a WebSocket', operation({ request: 'GET /ws', body: undefined, websocket: true }), 'no WebSockets'],
    ['a field for a password', operation({ body: { form: ['new_password1'] } }), 'looks like a password'],
    ['the field of the secret', operation({ body: { form: ['p'] } }), 'types in p'],
    ['the field of the token', operation({ body: { form: ['CSRF'] } }), 'fills in csrf'],
    ['JSON without a place for the token', operation({ body: { json: ['text'] } }), 'needs a form'],
    [
      'a login without a secret',
      { login: { page: '/login', fields: { user: 'svc' }, success: { cookie: 'sid' } } },
      'secret:',
    ],
    [
      'a login without a sign of success',
      { login: { page: '/login', fields: { p: `\${secret:env:X}` }, success: {} } },
      'expected cookie or page',
    ],
    ['a page with dots', { logout: 'POST /a/../logout' }, 'expected a method and a path'],
    ['two places of the token', { token: { input: 'a', cookie: 'b', field: 'c' } }, 'expected one of'],
    ['a member that is misspelt', { close: ['/me'] }, 'Unrecognized key'],
  ])('with %s is refused', (_, more, said) => {
    const read = sessionEntry.safeParse(entry(more))
    expect(JSON.stringify(read.error?.issues ?? [])).toContain(said)
  })

  it.each([
    ['an open parameter', undefined, 'Do chooses a page here, so its values must be named'],
    ['the value of a closed page', { Do: ['show', 'Logout'] }, 'the gateway itself uses this page'],
    ['another parameter', { Do: ['show'], x: ['1'] }, 'the operation does not take x'],
    ['values for it', { Do: ['show', 'save'] }, '[]'],
  ])('whose log-out is chosen by a parameter, with %s', (_, values, said) => {
    const it = { request: 'POST /index.php', body: { form: ['Do'] }, ...(values && { values }) }
    const read = sessionEntry.safeParse(entry({ logout: 'GET /doku.php?do=logout', operations: { it } }))
    expect(JSON.stringify(read.error?.issues ?? [])).toContain(said)
  })

  it('lets no other value through than those that it names', () => {
    const named = {
      request: 'POST /doku.php',
      query: ['id'],
      body: { form: ['do', 'n'] },
      values: { do: ['save'], n: ['1'] },
    }
    const read = sessionEntry.parse(entry({ logout: 'GET /doku.php?do=logout', operations: { it: named } }))
    const toAction = sessionActionOf('app', read)
    const ask = (body: string) => {
      const headers = ['content-type', 'application/x-www-form-urlencoded']
      return toAction({ method: 'POST', target: '/doku.php?id=a', headers, body: Buffer.from(body) })
    }
    for (const body of ['', 'do=save', 'do=save&n=1']) expect(ask(body), body).toHaveProperty('resource')
    for (const body of ['do=logout', 'do=log.out', 'do=Save', 'do=save%20', 'do=', 'n=2'])
      expect(ask(body), body).toMatchObject({ refused: 'session_route_reserved' })
  })

  it('asks for the values of a parameter in the path that chooses a page', () => {
    const closed = ['/index.php?title=Special:ChangeCredentials']
    const withValues = (values: object) =>
      entry({ closed, operations: { read: { request: 'GET /index.php/{title}', values } } })
    const read = (values: object) => sessionEntry.safeParse(withValues(values))
    expect(JSON.stringify(read({}).error?.issues)).toContain('title chooses a page here, so its values must be named')
    expect(read({ title: ['Special:ChangeCredentials'] }).success).toBe(false)
    const toAction = sessionActionOf('w', sessionEntry.parse(withValues({ title: ['Main'] })))
    const ask = (title: string) =>
      toAction({ method: 'GET', target: `/index.php/${title}`, headers: [], body: Buffer.alloc(0) })
    expect(ask('Main')).toHaveProperty('resource')
    expect(ask('Special%3AChangeCredentials')).toMatchObject({ refused: 'session_route_reserved' })
  })

  it('lets no list through in place of a value', () => {
    const json = { request: 'POST /api', body: { json: ['do'] }, values: { do: ['save', '1'] } }
    const read = sessionEntry.parse(
      entry({ token: { input: 'csrf', header: 'x-csrf' }, closed: ['/api?do=admin'], operations: { it: json } }),
    )
    const toAction = sessionActionOf('app', read)
    const ask = (does: unknown) =>
      toAction({
        ...{ method: 'POST', target: '/api', headers: ['content-type', 'application/json'] },
        body: Buffer.from(JSON.stringify({ do: does })),
      })
    for (const does of ['save', 1]) expect(ask(does)).toHaveProperty('resource')
    for (const does of [['save'], { save: 1 }, null, true])
      expect(ask(does)).toMatchObject({ refused: 'session_route_reserved' })
  })

  it('keeps what servers take for the same page', () => {
    const kept = reservedPlaces(sessionEntry.parse(entry({ closed: ['/my/password'] })))
    for (const path of ['/my/password.json', '/logout/x', '/login.php', '/logout%20', '/logout.', '/logout;x=1'])
      expect(isReserved(kept, path), path).toBe(true)
    expect(isReserved(kept, '/my/passwords')).toBe(false)
  })
})
