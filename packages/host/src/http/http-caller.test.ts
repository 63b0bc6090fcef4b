import { BlockList } from 'node:net'
import { describe, expect, it } from 'vitest'
import { aServer } from './http.fixture.ts'
import { callerOf, readNetworks } from './http-caller.ts'

const trusted = readNetworks('10.0.0.0/8, 192.0.2.7,2001:db8:1::/48') as BlockList

it.each<[string, string, string | undefined, string]>([
  ['a peer that is not trusted, even if it names another', '198.51.100.9', '203.0.113.1', '198.51.100.9'],
  ['a peer beside a trusted address', '192.0.2.8', '203.0.113.1', '192.0.2.8'],
  ['whom a proxy heard it from', '10.1.2.3', '203.0.113.1', '203.0.113.1'],
  ['whom a proxy heard it from, not what that one says', '10.1.2.3', '203.0.113.66, 203.0.113.1', '203.0.113.1'],
  ['whom a chain of proxies heard it from', '10.1.2.3', '203.0.113.1, 2001:db8:1::5, 192.0.2.7', '203.0.113.1'],
  ['the first untrusted peer of a chain', '10.1.2.3', '203.0.113.66, 198.51.100.9 ,10.0.0.1', '198.51.100.9'],
  ['the outermost proxy that asks for itself', '10.1.2.3', '10.0.0.1', '10.0.0.1'],
  ['a proxy that says nothing', '10.1.2.3', undefined, '10.1.2.3'],
  ['a proxy that says nothing in many words', '10.1.2.3', ' , ,', '10.1.2.3'],
  ['a proxy that names no address', '10.1.2.3', '203.0.113.1, unknown', '10.1.2.3'],
  ['a proxy that adds a port', '10.1.2.3', '203.0.113.1:4711', '10.1.2.3'],
  ['a proxy that adds a zone', '10.1.2.3', 'fe80::1%eth0', '10.1.2.3'],
  ['a proxy whose address is IPv4 in IPv6', '::ffff:10.1.2.3', '::ffff:203.0.113.1', '203.0.113.1'],
  ['the address that a proxy heard it from over IPv6', '2001:db8:1::1', '2001:db8:2::9', '2001:db8:2::9'],
])('takes for the caller %s (V18)', (_, peer, forwarded, caller) => {
  expect(callerOf(peer, forwarded, trusted)).toBe(caller)
})

it('believes no proxy that the settings do not name', () => {
  expect(callerOf('127.0.0.1', '203.0.113.1', new BlockList())).toBe('127.0.0.1')
  expect(callerOf(undefined, '203.0.113.1', trusted)).toBe('')
})

it.each([
  '',
  'proxy.example',
  '10.0.0.0/33',
  '10.0.0.0/0',
  '::/0',
  '10.0.0.0/8,',
  '2001:db8::/129',
  '10.0.0.0/-1',
  '10/8',
  'fe80::1%eth0',
])('takes %j for no network', (value) => {
  expect(readNetworks(value)).toBeUndefined()
})

describe('a server', () => {
  const asked = async (
    trustedProxies: BlockList | undefined,
    remoteAddress: string,
    headers: Record<string, string>,
  ) => {
    await using fixture = await aServer(trustedProxies ? { trustedProxies } : {})
    fixture.server.get('/caller', async ({ caller }) => ({ caller }))
    return (await fixture.server.inject({ url: '/caller', remoteAddress, headers })).json().caller
  }

  it('believes the proxies in its settings, and no other peer (V18)', async () => {
    const headers = {
      'x-forwarded-for': '203.0.113.66, 203.0.113.1',
      forwarded: 'for=203.0.113.66',
      'x-real-ip': '::1',
    }
    expect(await asked(trusted, '10.1.2.3', headers)).toBe('203.0.113.1')
    expect(await asked(trusted, '198.51.100.9', headers)).toBe('198.51.100.9')
    expect(await asked(undefined, '10.1.2.3', headers)).toBe('10.1.2.3')
  })
})
