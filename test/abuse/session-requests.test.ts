import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { form, openSessionWorld, type SessionAttack, SessionAttacker } from './session-attacks.ts'

/* An agent asks for more than its operations: other fields, other pages, another session. Nothing of it may reach the application. */

let attacker: SessionAttacker
const opened = new AsyncDisposableStack()
beforeAll(async () => {
  attacker = await SessionAttacker.open(opened.use(await openSessionWorld()))
  await attacker.attack({ target: '/records' })
})
afterAll(() => opened.disposeAsync())

const change = (body: string | Buffer, more: Partial<SessionAttack> = {}): SessionAttack => ({
  ...{ method: 'POST', target: '/records/1', body },
  ...more,
})
const multipart = (field: string, more = '') =>
  `--x\r\nContent-Disposition: form-data; name="${field}"${more}\r\n\r\nhello\r\n--x--\r\n`

it('the control: one record is changed within its bound, by the service account', async () => {
  const { app } = attacker.at
  expect(await attacker.attack(change('text=new&amount=400'))).toMatchObject({ status: 302 })
  expect(app.records.get('1')).toBe('new')
  expect(app.at('/records/1').at(-1)?.body).toMatch(/^text=new&amount=400&csrf=[0-9a-f]{40}$/)
})

it('a field with brackets is sent if its operation has it', async () => {
  const { app } = attacker.at
  app.pages.set('/issues/1', (_, response) => void response.writeHead(204).end())
  const edit = (body: string) => attacker.attack({ method: 'POST', target: '/issues/1', body })
  expect(await edit('issue%5Bsubject%5D=new')).toMatchObject({ status: 204 })
  expect(app.at('/issues/1').at(-1)?.body).toMatch(/^issue%5Bsubject%5D=new&csrf=/)
  for (const body of ['issue[author]=1', 'issue[subject]=a&issue=b', 'issue[subject]=a&issue[subject][]=b'])
    expect(await edit(body)).toMatchObject({ status: 400, arrived: 0 })
})

describe('nothing reaches the application', () => {
  it.each<[string, SessionAttack, string]>([
    ['of an amount beyond the bound', change('text=x&amount=501'), 'argument_out_of_bounds'],
    ['without the field that has a bound', change('text=x'), 'argument_out_of_bounds'],
    ['of another record', change('text=x&amount=1', { target: '/records/2' }), 'argument_out_of_bounds'],
    ['of a field that the map does not know', change('text=x&amount=1&is_admin=1'), 'operation_member_unmapped'],
    ['of the token', change('text=x&amount=1&csrf=forged'), 'operation_member_unmapped'],
    ['of the token in other letters', change('text=x&amount=1&CSRF=forged'), 'operation_member_unmapped'],
    ['of another method by a field', change('text=x&amount=1&_method=DELETE'), 'form_malformed'],
    ['of a field that is there twice', change('text=x&amount=1&amount=9999'), 'form_malformed'],
    ['of a field that is there twice, in other letters', change('text=x&amount=1&Amount=9999'), 'form_malformed'],
    ['of a field as a list', change('text=x&amount[]=9999'), 'form_malformed'],
    ['of a field behind a semicolon', change('text=x;amount=9999&amount=1'), 'form_malformed'],
    ['of a broken escape', change('text=%zz&amount=1'), 'form_malformed'],
    ['of an escape that is not UTF-8', change('text=%ff&amount=1'), 'form_malformed'],
    ['of an escaped NUL', change('text=%00&amount=1'), 'form_malformed'],
    [
      'of a field in the query',
      change('text=x&amount=1', { target: '/records/1?amount=9999' }),
      'operation_member_unmapped',
    ],
    [
      'of multipart',
      change(multipart('text'), { type: 'multipart/form-data; boundary=x' }),
      'content_type_unsupported',
    ],
    [
      'of a file',
      change(multipart('text', '; filename="x.php"'), { type: 'multipart/form-data; boundary=x' }),
      'content_type_unsupported',
    ],
    ['in UTF-7', change('text=x&amount=1', { type: `${form}; charset=utf-7` }), 'operation_member_unmapped'],
    [
      'in UTF-16',
      change(Buffer.from('text=x&amount=1', 'utf16le'), { type: `${form}; charset=utf-16` }),
      'operation_member_unmapped',
    ],
    ['of text', change('text=x&amount=1', { type: 'text/plain' }), 'content_type_unsupported'],
    ['of JSON', change('{"text":"x","amount":1}', { type: 'application/json' }), 'content_type_unsupported'],
    ['of the login page', { target: '/login' }, 'session_route_reserved'],
    ['of the login page in other letters', { target: '/Login' }, 'session_route_reserved'],
    ['of a login', { method: 'POST', target: '/login', body: 'user=x&password=y' }, 'operation_unmapped'],
    ['of the log-out', { target: '/logout' }, 'session_route_reserved'],
    ['of a log-out as a form', { method: 'POST', target: '/logout', body: '' }, 'operation_unmapped'],
    ['of the page for a new password', { target: '/account' }, 'session_route_reserved'],
    ['of a page below it', { target: '/account/password' }, 'operation_unmapped'],
    ['of no operation', { target: '/admin/users' }, 'operation_unmapped'],
    ['of another method', { method: 'DELETE', target: '/records/1' }, 'operation_unmapped'],
    [
      'of another method in a field of the head',
      change('text=x&amount=1', { lines: ['X-HTTP-Method-Override: DELETE'] }),
      'header_forbidden',
    ],
    ['of TRACE', { method: 'TRACE', target: '/records' }, 'method_not_allowed'],
    [
      'of a path with dots',
      { target: '/records/../account', path: '/session/app/records/../account' },
      'path_segment_dots',
    ],
    ['of a path with an escaped slash', { target: '/records/1%2F..%2Faccount' }, 'path_escape_forbidden'],
    ['of another origin', { target: '/records', lines: ['Origin: https://evil.example'] }, 'origin_forbidden'],
  ])('%s', async (_, made, code) => {
    const { app } = attacker.at
    const records = [...app.records]
    const answer = await attacker.attack(made)
    expect(answer.code ?? '').toBe(code)
    expect(answer.status).toBeGreaterThanOrEqual(400)
    expect(answer.arrived).toBe(0)
    expect([...app.records]).toEqual(records)
  })
})

describe('of what an agent adds to its request, the application gets nothing', () => {
  it.each([
    ['a cookie of its own (fixation)', 'Cookie: sid=0000000000000000000000000000000000000000'],
    ['a page that it came from', 'Referer: https://evil.example/?x=1'],
    ['an address of its own', 'X-Forwarded-For: 10.0.0.1'],
    ['a host of its own', 'X-Forwarded-Host: evil.example'],
    ['a token of its own', 'X-CSRF-Token: forged'],
    ['a name of its own', 'User-Agent: evil'],
    ['a condition', 'If-None-Match: "x"'],
    ['a part', 'Range: bytes=0-1'],
  ])('%s', async (_, line) => {
    const { app } = attacker.at
    const answer = await attacker.attack({ target: '/records', lines: [line] })
    const [name = '', value = ''] = line.split(/: (.*)/)
    // The gate may refuse it as a whole.
    if (answer.status >= 400) expect(answer.arrived).toBe(0)
    else {
      expect(answer.status).toBe(200)
      expect(app.arrived.at(-1)?.text).not.toContain(value)
      if (name !== 'Cookie' && name !== 'User-Agent')
        expect(app.arrived.at(-1)?.headers[name.toLowerCase()]).toBeUndefined()
    }
    expect(app.arrived.at(-1)?.session).toBeDefined()
  })

  it('its credential and its proof', () => {
    for (const { text } of attacker.at.app.arrived) {
      expect(text).not.toContain(attacker.agent.token)
      expect(text).not.toMatch(/\r\n(?:authorization|dpop|bailiwick-[a-z-]+):/i)
    }
  })
})
