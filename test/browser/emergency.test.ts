import { createAgent } from '@bailiwick/agent'
import { encodeBase64url, generateKey } from '@bailiwick/credentials'
import { sample } from '@bailiwick/standalone/sample'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { emergencyId, emergencyIdentity, emergencyRule, repair } from '../abuse/emergency-people.ts'
import { aPerson, noBrowser, type Person, seriousFindings, withPasskey } from './browser.ts'
import { Desk } from './desk.ts'

describe.skipIf(noBrowser)('an emergency, in Chromium', () => {
  const desk = new Desk()
  let bob: Person
  beforeAll(async () => {
    await desk.open({ singleOperator: false })
    bob = await aPerson(desk.browser)
    const groups = [sample.group, 'break_glass']
    const entry = await withPasskey(bob, 'bob')
    await desk.approve(await desk.propose('approver', 'bob', entry))
    await desk.olivia.page.getByText('Approved.', { exact: true }).waitFor()
    await bob.page.goto(`${desk.system.url}/console/inbox`)
    await bob.press('Sign in with passkey')
    await bob.page.getByRole('heading', { name: 'Inbox' }).waitFor()
    const olivia = (await desk.ledger()).registry.get('approver', sample.owner)
    const identity = emergencyIdentity(sample.owner)
    for (const [type, id, value] of [
      ['approver', 'bob', { ...entry, groups }],
      ['approver', sample.owner, { ...olivia, groups }],
      ['rule', 'break-glass', emergencyRule().value],
      ['agent', identity.id, identity.value],
    ] as const) {
      const change = await desk.propose(type, id, value)
      await desk.approve(change)
      await desk.olivia.page.getByText('Signed. More people must sign: 1 so far.').waitFor()
      await desk.approve(change, bob)
      await bob.page.getByText('Approved.', { exact: true }).waitFor()
    }
  })
  afterAll(() => desk[Symbol.asyncDispose]())

  it('is opened by one person, signed by two, shown to everyone, and reviewed by the one who did not act (V3)', async () => {
    const { clock, random, trust, url } = desk.system
    const key = generateKey('agent')
    const agent = createAgent({
      ...{ agentId: emergencyId(sample.owner), instance: key.kid, key, installation: trust.installation, baseUrl: url },
      now: () => clock.now(),
      random,
    })
    const { jws, purpose } = agent.signRequest({
      ...{ authority: repair, mode: 'window', expiresInSeconds: 900, purpose: 'The ledger is wrong' },
    })
    const ask = encodeBase64url(Buffer.from(JSON.stringify({ request: jws, jwk: key.publicJwk, purpose })))
    const { page } = desk.olivia
    await page.goto(`${url}/console/emergency#ask=${ask}`)
    await page.getByText('The ledger is wrong').waitFor()
    expect(await seriousFindings(desk.olivia)).toEqual([])
    await desk.olivia.press('Open it, and tell everyone')
    await page.waitForURL(/\/console\/requests\/req_/)
    const id = page.url().split('/').at(-1) ?? ''
    const banner = ({ page: at }: Person, state: string) => at.locator(`[data-emergency="${state}"]`)
    await banner(bob, 'waiting').waitFor() // without a reload
    await desk.olivia.press('Approve as asked…')
    await page.getByText(/You let the holder of the key .* act where the rules for approval would say no\./).waitFor()
    expect(await seriousFindings(desk.olivia)).toEqual([])
    await desk.olivia.press('Sign with passkey')
    await banner(bob, 'waiting').getByText('signed by owner').waitFor()
    await desk.approve(id, bob)
    await banner(desk.olivia, 'live').waitFor()
    await banner(bob, 'live').waitFor()

    const grant = { requestId: id }
    await agent.credential(grant, { wait: AbortSignal.timeout(30_000) })
    await agent.complete(grant)
    await banner(desk.olivia, 'over').waitFor()
    expect(await banner(desk.olivia, 'over').getByRole('button').count()).toBe(0)
    await banner(bob, 'over').getByRole('link', { name: 'What was done' }).click()
    await bob.page.waitForURL(/\/console\/evidence\/req_/)
    await bob.page.getByText('Grant completed').first().waitFor()
    await banner(bob, 'over').getByRole('button', { name: 'I have read the report' }).click()
    await banner(bob, 'over').waitFor({ state: 'detached' })
    await banner(desk.olivia, 'over').waitFor({ state: 'detached' })
  })
})
