import { describe, expect, it } from 'vitest'
import { entriesOf } from './entries.ts'

const none = { mcp: [], http: [], git: [], ssh: [], postgres: [], session: [] }

describe('what a program may reach', () => {
  it('has a name at the gateway, a variable, and the address that the proxy has it for', () => {
    const http = ['erp', 'crm-eu=https://API.example.com:443/v1/']
    expect(entriesOf({ ...none, http, git: ['forge=http://git.example:8080'], openai: 'acme' })).toEqual([
      { kind: 'http', name: 'erp', path: 'http/erp', variable: 'BAILIWICK_HTTP_ERP' },
      {
        ...{ kind: 'http', name: 'crm-eu', path: 'http/crm-eu', variable: 'BAILIWICK_HTTP_CRM_EU' },
        site: { origin: 'https://api.example.com', path: '/v1' },
      },
      {
        ...{ kind: 'git', name: 'forge', path: 'git/forge', variable: 'BAILIWICK_GIT_FORGE' },
        site: { origin: 'http://git.example:8080', path: '' },
      },
      { kind: 'models', name: 'acme', path: 'models/acme', variable: 'BAILIWICK_MODELS_ACME', api: 'openai' },
    ])
  })

  it('is also a database, which no address of the proxy stands for, and a web application', () => {
    expect(entriesOf({ ...none, postgres: ['orders'], session: ['office=https://office.example'] })).toEqual([
      { kind: 'postgres', name: 'orders', path: 'postgres/orders', variable: 'BAILIWICK_POSTGRES_ORDERS' },
      {
        ...{ kind: 'session', name: 'office', path: 'session/office', variable: 'BAILIWICK_SESSION_OFFICE' },
        site: { origin: 'https://office.example', path: '' },
      },
    ])
    expect(() => entriesOf({ ...none, postgres: ['orders=https://db.example'] })).toThrow('no name of an entry')
  })

  it.each([
    ['an IP address', 'https://10.0.0.1'],
    ['an IP address as one number', 'https://2130706433'],
    ['an IPv6 address', 'https://[::1]'],
    ['this machine', 'http://localhost:3000'],
    ['a name below localhost', 'http://a.localhost'],
    ['another scheme', 'ftp://api.example.com'],
    ['a user', 'https://u:p@api.example.com'],
    ['a query', 'https://api.example.com/?a=b'],
    ['an escape', 'https://api.example.com/%41'],
    ['dots', 'https://api.example.com/a/../b'],
    ['a name with a dot at the end', 'https://api.example.com.'],
    ['nothing', ''],
  ])('cannot be given for %s', (_, url) => {
    expect(() => entriesOf({ ...none, http: [`erp=${url}`] })).toThrow(/--http/)
  })

  it('is one entry for each address', () => {
    const both = ['a=https://api.example.com', 'b=https://api.example.com/']
    expect(() => entriesOf({ ...none, http: both })).toThrow('two entries would stand for https://api.example.com')
    expect(entriesOf({ ...none, http: ['a=https://x.example', 'b=https://x.example/v2'] })).toHaveLength(2)
  })
})
