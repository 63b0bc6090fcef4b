import { type AccessToken, generateKey, publicKeyOf, type Trust, verifyBindingToken } from '@bailiwick/credentials'
import { denialReasons, isRequestable } from '@bailiwick/errors'
import { testClock } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import type { Denied } from '../answer.ts'
import { evaluationRequest } from '../http/evaluation-request.ts'
import { accessRequestOffer } from './access-request-offer.ts'
import { nextAction } from './next-action.ts'

const key = generateKey('binding-token')
const clock = testClock(1_800_000_000_000)
const trust = { installation: 'ins_0123456789', public_url: 'http://localhost:8421' } as Trust
const pdp = { clock, trust, publicUrl: 'http://localhost:8423', bindingKey: key }
const evaluation = evaluationRequest({
  subject: { type: 'agent', id: 'unknown' },
  action: { name: 'tools/call', properties: { invoice: 'INV-1' } },
  resource: { type: 'tool', id: 'invoices/read' },
})
const denied = (over: Partial<Denied> = {}): Denied => ({
  decision: false,
  decisionId: `dec_${'1'.repeat(26)}`,
  callId: undefined,
  reason: 'action_not_granted',
  ...over,
})
const read = (token: string) =>
  verifyBindingToken({ token, key: publicKeyOf(key), installation: trust.installation, now: clock.now(), leewayMs: 0 })

it('signs what was denied, to whom, and until when it can be answered', () => {
  const sub = 'spiffe://acme.example/agent/ledger/one'
  const grant = `grt_${'A'.repeat(43)}`
  const offer = accessRequestOffer(pdp, evaluation, denied({ token: { sub } as AccessToken, grant }))
  const verified = read(offer?.binding_token ?? '')
  expect(verified).toMatchObject({
    ok: true,
    value: {
      iss: pdp.publicUrl,
      sub,
      grant,
      reason: 'action_not_granted',
      jti: denied().decisionId,
      action: { name: 'tools/call', resource: { type: 'tool', id: 'invoices/read' }, action_digest: evaluation.digest },
    },
  })
  expect(offer?.endpoint).toBe('http://localhost:8421/access/v1/requests')
  if (verified.ok) expect(offer?.expires_at).toBe(new Date(verified.value.exp * 1000).toISOString())
})

it('is for who acts where more is wanted, and for whose grant it is where humans are asked once more', () => {
  const [own, by] = ['ledger', 'sub'].map((name) => `spiffe://acme.example/agent/${name}/one`)
  const token = { sub: own, act: { sub: by } } as AccessToken
  const named = { invoice: 'INV-1' }
  const said = (over: Partial<Denied>) => {
    const verified = read(accessRequestOffer(pdp, evaluation, denied({ token, ...over }))?.binding_token ?? '')
    return verified.ok ? verified.value : verified
  }
  expect(said({})).toMatchObject({ sub: by })
  expect(said({})).not.toHaveProperty('grant')
  expect(said({})).not.toHaveProperty('action.arguments')
  expect(said({ grant: `grt_${'A'.repeat(43)}` })).toMatchObject({ sub: own })
  expect(said({ grant: `grt_${'A'.repeat(43)}`, needs: 'task' })).toMatchObject({ needs: 'task' })
  expect(said({ needs: 'task' })).not.toHaveProperty('needs')
  expect(said({ arguments: named })).toMatchObject({ action: { arguments: named } })
})

it('names no agent that was not authenticated, and no action that could not be read', () => {
  const offer = accessRequestOffer(pdp, { ...evaluation, digest: undefined }, denied({ reason: 'credential_missing' }))
  const verified = read(offer?.binding_token ?? '')
  expect(verified.ok && Object.keys(verified.value).sort()).toEqual(['aud', 'exp', 'iat', 'iss', 'jti', 'reason'])
})

it('offers nothing where asking cannot help, and says what can', () => {
  for (const reason of Object.keys(denialReasons) as (keyof typeof denialReasons)[]) {
    expect(accessRequestOffer(pdp, evaluation, denied({ reason })) !== undefined).toBe(isRequestable(reason))
    expect(nextAction(reason).next_action === 'request').toBe(isRequestable(reason))
  }
  expect(nextAction('policy_denied')).toEqual({ next_action: 'none' })
  expect(nextAction('state_stale')).toEqual({ next_action: 'retry', retry_after: 1 })
})
