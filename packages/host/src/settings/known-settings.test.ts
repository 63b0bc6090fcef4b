import { expect, it } from 'vitest'
import { knownSettings, misspeltSettings } from './known-settings.ts'

it.each([
  ['BAILIWICK_PROT', 'BAILIWICK_PORT'],
  ['BAILIWICK_MAX_STALENES', 'BAILIWICK_MAX_STALENESS'],
  ['BAILIWICK_MAXSTALENESS', 'BAILIWICK_MAX_STALENESS'],
  ['BAILWICK_DATA', 'BAILIWICK_DATA'],
  ['BAILIWIK_TLS', 'BAILIWICK_TLS'],
  ['bailiwick_log_public', 'BAILIWICK_LOG_PUBLIC'],
  ['BAILIWICK_GRANTSTORE', 'BAILIWICK_GRANT_STORE'],
])('%s is no setting, and %s is meant', (name, meant) => {
  expect(misspeltSettings({ [name]: '1' })).toEqual([`${name}: there is no such setting; is ${meant} meant?`])
})

it('guesses nothing where nothing is near', () => {
  expect(misspeltSettings({ BAILIWICK_FAVOURITE_COLOUR: 'hunter2' })).toEqual([
    'BAILIWICK_FAVOURITE_COLOUR: there is no such setting',
  ])
})

it('takes settings of every process, of this one, what is empty and what is not ours', () => {
  const all = Object.fromEntries(knownSettings.map((name) => [name, 'x']))
  const own = ['BAILIWICK_JOIN_TOKEN']
  const env = {
    ...all,
    BAILIWICK_JOIN_TOKEN: 'x',
    BAILIWICK_PROT: '',
    PATH: '/bin',
    KAFKA_BROKERS: 'a:1',
    BAIL_OUT: '1',
  }
  expect(misspeltSettings(env, own)).toEqual([])
})

it('takes what Kubernetes says of a Service that is named after us', () => {
  const links = {
    BAILIWICK_ISSUER_SERVICE_HOST: '10.0.0.7',
    BAILIWICK_ISSUER_SERVICE_PORT: '8422',
    BAILIWICK_ISSUER_SERVICE_PORT_HTTP: '8422',
    BAILIWICK_ISSUER_PORT: 'tcp://10.0.0.7:8422',
    BAILIWICK_ISSUER_PORT_8422_TCP: 'tcp://10.0.0.7:8422',
    BAILIWICK_ISSUER_PORT_8422_TCP_PROTO: 'tcp',
  }
  expect(misspeltSettings(links)).toEqual([])
})

it('takes the addresses that agent run sets for its program', () => {
  expect(misspeltSettings({ BAILIWICK_MCP_NOTES: 'http://127.0.0.1:1/x', BAILIWICK_HTTP_ERP_1: 'x' })).toEqual([])
  expect(knownSettings.filter((name) => /^BAILIWICK_(MCP|HTTP|MODELS)_/.test(name))).toEqual([])
})
