import type { Agent } from '@bailiwick/contracts'
import { expect, it } from 'vitest'
import type { Attestor } from './attestor.ts'

/** The content that a token of the adapter under test should have, apart from what makes it valid. */
export interface TokenWishes {
  agent?: string
  instance?: string
  audience?: string
  expired?: boolean
  /** From an authority, or signed by a key, that the agent's registration does not name. */
  forged?: boolean
}

/** An attestor, an agent that it attests, and the authority that makes its tokens. Each token is valid unless requested otherwise. */
export interface AttestorWorkshop {
  attestor: Attestor
  agent: Agent
  audience: string
  now: number
  /** Thumbprint of the workload's key. */
  key: string
  token(wishes?: TokenWishes): Promise<string>
}

/** The guarantees of every attestor, for every kind of token. */
export function attestorContract(open: () => Promise<AttestorWorkshop>): void {
  const attest = async (wishes: TokenWishes, change: { key?: string; audience?: string; agent?: Agent } = {}) => {
    const { attestor, agent, audience, now, key, token } = await open()
    const presented = { agent, now, key, ...change, audiences: [change.audience ?? audience] }
    return attestor.attest(await token(wishes), presented)
  }

  it('gives agent, instance and kind, and until when', async () => {
    const { agent, now } = await open()
    const attested = await attest({ instance: 'two' })
    expect(attested).toMatchObject({
      ok: true,
      agent: agent.id,
      instance: `${agent.id}/two`,
      kind: agent.attestor.kind,
    })
    expect(attested.ok && attested.expiresAt).toBeGreaterThan(now)
  })

  it.each<[string, TokenWishes]>([
    ['that has expired', { expired: true }],
    ['for another audience (V12)', { audience: 'https://elsewhere.example' }],
    ['of another agent (V12)', { agent: 'spiffe://acme.example/agent/other' }],
    ['of another trust domain (V12)', { agent: 'spiffe://evil.example/agent/ledger' }],
    ['that another authority made (V12)', { forged: true }],
  ])('refuses a token %s', async (_, wishes) => {
    expect(await attest(wishes)).toMatchObject({ ok: false })
  })

  it.each([
    ['', ''],
    ['garbage', 'garbage'],
    ['dots', '..'],
    ['JSON', '{}'],
    ['a lone surrogate', '\ud800.a.b'],
  ])('refuses %s, and does not throw', async (_, text) => {
    const { attestor, agent, audience, now, key } = await open()
    expect(await attestor.attest(text, { agent, audiences: [audience], now, key })).toMatchObject({ ok: false })
  })

  it('refuses a token that was shown with another key (V10)', async () => {
    const { attestor, agent, audience, now, key, token } = await open()
    const shown = await token()
    const presented = { agent, audiences: [audience], now }
    expect(await attestor.attest(shown, { ...presented, key })).toMatchObject({ ok: true })
    const thief = await attestor.attest(shown, { ...presented, key: 'A'.repeat(43) })
    expect(thief).toMatchObject({ ok: false, code: 'token_replayed' })
    expect(await attestor.attest(shown, { ...presented, key })).toMatchObject({ ok: true })
  })

  it('accepts no instance name that reaches into another agent', async () => {
    for (const instance of ['..', '.', 'a/b', '', 'x'.repeat(65), 'ünïcode'])
      expect(await attest({ instance })).toMatchObject({ ok: false })
  })
}
