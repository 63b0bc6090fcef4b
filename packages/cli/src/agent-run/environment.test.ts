import { describe, expect, it } from 'vitest'
import { childEnvironment, databaseEnvironment, variableOf } from './environment.ts'

const kept = {
  PATH: '/bin',
  HOME: '/home/clerk',
  PWD: '/srv',
  OLDPWD: '/',
  TERM: 'xterm',
  LANG: 'C.UTF-8',
  EDITOR: 'vi',
  AWS_CA_BUNDLE: '/etc/ca.pem',
}

describe('the environment of a program under agent run', () => {
  it.each([
    ...['AWS_ACCESS_KEY_ID', 'AWS_PROFILE', 'GITHUB_TOKEN', 'GH_TOKEN', 'NPM_TOKEN', 'npm_config__auth', 'SENTRY_DSN'],
    ...['OPENAI_API_KEY', 'ANTHROPIC_API_KEY', 'DB_PASSWORD', 'MYSQL_PWD', 'PGPASSWORD', 'KEY', 'STRIPE_KEY_LIVE'],
    ...['VSCODE_GIT_IPC_HANDLE', 'VSCODE_GIT_ASKPASS_MAIN', 'VSCODE_IPC_HOOK_CLI', 'TMUX', 'NVIM', 'KITTY_LISTEN_ON'],
    ...['SSH_AUTH_SOCK', 'DBUS_SESSION_BUS_ADDRESS', 'KUBECONFIG', 'GOOGLE_APPLICATION_CREDENTIALS', 'client_secret'],
    ...['BAILIWICK_AGENT_KEY', 'BAILIWICK_DATA', 'BAILIWICK_APPROVER_PASSKEY', 'BAILIWICK_KEYS_SECRET_FILE'],
  ])('has no %s', (name) => {
    const { env, stripped } = childEnvironment({ ...kept, [name]: 'x' }, {})
    expect(env).toEqual(kept)
    expect(stripped).toEqual([name])
  })

  it.each([
    ['an address with a password', 'postgres://app:hunter2@db/app'],
    ['a private key', '-----BEGIN EC PRIVATE KEY-----\nMHc'],
    ['a JWT', 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0xxxx.c2ln'],
    ['a key of a provider', 'sk-proj-0123456789abcdefghij'],
    ['a token of a forge', 'ghp_0123456789abcdefghijklmnopqrstuvwxyz'],
  ])('has no variable with %s in it, under any name', (_, value) => {
    expect(childEnvironment({ ...kept, HARMLESS: value }, {}).stripped).toEqual(['HARMLESS'])
  })

  it('has what the person keeps, but never a variable of Bailiwick', () => {
    const from = { ...kept, GITHUB_TOKEN: 'x', NPM_TOKEN: 'y' }
    expect(childEnvironment(from, { keep: ['NPM_TOKEN'] })).toEqual({
      env: { ...kept, NPM_TOKEN: 'y' },
      stripped: ['GITHUB_TOKEN'],
    })
    expect(() => childEnvironment(from, { keep: ['BAILIWICK_AGENT_KEY'] })).toThrow('never passed on')
  })

  it('has what it is given, also under a name that was left out, and reaches it past a proxy', () => {
    const from = { ...kept, OPENAI_API_KEY: 'sk-real', HTTPS_PROXY: 'http://proxy:3128', NO_PROXY: 'intern' }
    const { env } = childEnvironment(from, { given: { OPENAI_API_KEY: 'placeholder' } })
    expect(env).toMatchObject({ OPENAI_API_KEY: 'placeholder', NO_PROXY: 'intern,127.0.0.1', no_proxy: '127.0.0.1' })
  })

  it('has no proxy of the person where it is given one', () => {
    const from = { ...kept, https_proxy: 'http://corp:3128', npm_config_https_proxy: 'http://corp:3128', NO_PROXY: '*' }
    const given = { HTTP_PROXY: 'http://here', NO_PROXY: '127.0.0.1', no_proxy: '127.0.0.1' }
    expect(childEnvironment(from, { given }).env).toEqual({ ...kept, ...given })
  })

  it('leads libpq to the database of the run and to no other, also by a variable that comes first', () => {
    const tls = { PGSSLMODE: 'verify-full' }
    const from = { ...kept, ...tls, PGHOST: 'db.intern', PGHOSTADDR: '10.0.0.9', PGSERVICE: 'a', PGOPTIONS: '-c x=y' }
    const one = { port: 41873, password: 'of-the-run' }
    const orders = { BAILIWICK_POSTGRES_ORDERS: 'postgresql://127.0.0.1:41873?sslmode=disable' }
    expect(childEnvironment(from, { given: { ...orders, ...databaseEnvironment([one]) } }).env).toEqual({
      ...{ ...kept, ...orders },
      ...{ PGHOST: '127.0.0.1', PGPORT: '41873', PGUSER: 'agent', PGPASSWORD: 'of-the-run', PGSSLMODE: 'disable' },
    })
    // Each address says by itself that it has no TLS, and the program's other databases keep theirs.
    expect(childEnvironment(from, { given: { ...orders, ...databaseEnvironment([one, one]) } }).env).toEqual({
      ...{ ...kept, ...tls, ...orders },
    })
    expect(childEnvironment(from, { given: databaseEnvironment([]) }).env).toEqual(from)
  })

  it('names an entry of the gateway', () => {
    expect(variableOf('HTTP', 'erp-eu_1')).toBe('BAILIWICK_HTTP_ERP_EU_1')
  })
})
