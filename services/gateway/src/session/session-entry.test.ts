import { describe, expect, it } from 'vitest'
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

  it('keeps a page by a parameter of its query or form, in any case', () => {
    const kept = reservedPlaces(sessionEntry.parse(entry({ logout: 'GET /doku.php?do=logout' })))
    expect(isReserved(kept, '/doku.php?id=start', { id: 'start' })).toBe(false)
    expect(isReserved(kept, '/doku.php?do=logout', { do: 'logout' })).toBe(true)
    expect(isReserved(kept, '/Doku.php', { id: 'start', DO: 'LOGOUT' })).toBe(true)
    for (const does of ['log.out', 'log0out', ' Log-Out'])
      expect(isReserved(kept, '/doku.php', { do: does }), does).toBe(true)
    expect(isReserved(kept, '/doku.php', { do: 'logouts' })).toBe(false)
  })

  it('compares values without letters as they are', () => {
    const kept = reservedPlaces(sessionEntry.parse(entry({ closed: ['/index?page=5'] })))
    expect([5, '7', 'x'].map((page) => isReserved(kept, '/index', { page }))).toEqual([true, false, false])
  })

  it('keeps what servers take for the same page', () => {
    const kept = reservedPlaces(sessionEntry.parse(entry({ closed: ['/my/password'] })))
    for (const path of ['/my/password.json', '/logout/x', '/login.php', '/logout%20', '/logout.', '/logout;x=1'])
      expect(isReserved(kept, path, {}), path).toBe(true)
    expect(isReserved(kept, '/my/passwords', {})).toBe(false)
  })
})
