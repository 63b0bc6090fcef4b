import { sample, sampleAgentId } from '@bailiwick/standalone/sample'
import { expect, it } from 'vitest'
import { aPerson, withPasskey } from '../browser.ts'
import type { Desk } from '../desk.ts'

/** Several people, their passkeys, and what each of them may stop. */
export function people(desk: Desk): void {
  it('with a quorum of two, one signature grants nothing, and two different people’s signatures do (V3, V10)', async () => {
    const rule = {
      id: 'pairs',
      order: 1,
      match: { agents: [sampleAgentId('forecaster')] },
      approvers: { group: sample.group, quorum: 2 },
      owner_may_approve: true,
      modes: ['window'],
      max_window_seconds: 3600,
      narrowing: true,
    }
    const proposed = await desk.propose('rule', 'pairs', rule)
    await desk.goTo(`requests/${proposed}`)
    await desk.olivia.page.getByText(`2 of ${sample.group}, which would have owner: nothing that it matches`).waitFor()
    await desk.grant(proposed)
    const bob = await aPerson(desk.browser)
    await desk.grant(await desk.propose('approver', 'bob', await withPasskey(bob, 'bob')))

    const requestId = await desk.ask('by two', 'forecaster')
    await desk.approve(requestId)
    await desk.olivia.page.getByText('Signed. More people must sign: 1 so far.').waitFor()
    expect(await desk.stateOf(requestId)).toBe('pending')
    await desk.goTo('inbox?show=all')
    const row = desk.olivia.page.locator(`article[data-request="${requestId}"]`)
    await row.getByText('You signed', { exact: true }).waitFor()
    await desk.goTo(`requests/${requestId}`)
    await desk.olivia.page.getByText('1 signed so far: owner. You are one of them').waitFor()
    expect(await desk.olivia.page.getByRole('button', { name: 'Approve as asked…' }).count()).toBe(0)

    await bob.page.goto(`${desk.system.url}/console/requests/${requestId}`)
    await bob.press('Sign in with passkey')
    await bob.page.getByText('1 signed so far: owner').waitFor()
    // A statement that one person signed is signed again word for word, so the next person cannot narrow it.
    expect(await bob.page.getByRole('button', { name: 'Approve narrower…' }).count()).toBe(0)
    await bob.press('Approve as asked…')
    await bob.press('Sign with passkey')
    await bob.page.getByText('Approved.', { exact: true }).waitFor()
    expect(await desk.stateOf(requestId)).toBe('approved')
    // The other person's page shows it, too.
    await desk.olivia.page.getByText('Answered by owner, bob').waitFor()
  })

  it('a colleague joins with a link, and counts once the change is signed (V3)', async () => {
    const { page } = desk.olivia
    await page.goto(`${desk.system.url}/console/people`)
    await desk.olivia.press('Invite a person…')
    await page.getByLabel('Approver id').fill('carla')
    await page.getByRole('dialog').getByLabel('Name', { exact: true }).fill('Carla Colleague')
    expect(await page.getByRole('dialog').locator('input:checked').count()).toBe(0) // each group is a decision
    await desk.olivia.press('Make the link')
    const link = (await page.locator('.link-box').textContent()) ?? ''
    await desk.olivia.press('Done')
    const carla = await aPerson(desk.browser)
    await carla.page.goto(link)
    await carla.page.getByRole('heading', { name: 'Join as Carla Colleague' }).waitFor()
    expect(carla.page.url()).toBe(`${desk.system.url}/`)
    await carla.press('Create passkey')
    await carla.page.getByText('It counts once the change of the registry is approved.').waitFor()
    await carla.press('Go to sign-in')
    await carla.press('Sign in with passkey')
    await carla.page.getByRole('alert').waitFor()

    await page.goto(`${desk.system.url}/console/registry`)
    await page.getByRole('link', { name: 'Register approver carla' }).click()
    await page.getByText('Changes who may approve').waitFor()
    await desk.olivia.press('Approve as asked…')
    await desk.olivia.press('Sign with passkey')
    await page.getByText('Approved.', { exact: true }).waitFor()
    await carla.press('Sign in with passkey')
    await carla.page.getByRole('heading', { name: 'Inbox' }).waitFor()

    // The link is used up.
    const thief = await aPerson(desk.browser)
    await thief.page.goto(link)
    await thief.page.getByRole('heading', { name: 'This link does not work' }).waitFor()
  })

  it('adds a passkey and retires it, each as a signed change', async () => {
    const { page, cdp } = desk.olivia
    const passkeys = async (count: number) => {
      await page.goto(`${desk.system.url}/console/people`)
      await expect.poll(() => page.locator('.card', { hasText: 'Your passkeys' }).locator('li').count()).toBe(count)
    }
    const sign = async () => {
      await page.locator('article.request').waitFor()
      await desk.olivia.press('Approve as asked…')
      await desk.olivia.press('Sign with passkey')
      await page.getByText('Approved.', { exact: true }).waitFor()
    }
    await passkeys(1)
    // A platform authenticator makes one passkey per person, so the second one is on another device.
    const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', {
      options: {
        protocol: 'ctap2',
        transport: 'usb',
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: true,
      },
    })
    await desk.olivia.press('Add a passkey…')
    await desk.olivia.press('Create passkey')
    await page.locator('article.request').waitFor()
    await cdp.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId }) // into the drawer
    await sign()
    await passkeys(2)
    await page.getByRole('button', { name: 'Retire…' }).last().click()
    await desk.olivia.press('Propose to retire it')
    await sign()
    await passkeys(1)
  })

  it('stops an agent, and then everything, after a confirmation (V7)', async () => {
    const { page } = desk.olivia
    await desk.grant(await desk.ask('to be stopped'))
    await desk.ask('to be denied')
    await page.goto(`${desk.system.url}/console/agents`)
    await page
      .locator('article.card', { hasText: 'Invoice reconciler' })
      .getByRole('button', { name: 'Stop Invoice reconciler…' })
      .click()
    // What it asked before would let it work again if it were approved: it is denied with it.
    await page.getByLabel(/^Also deny its (\d+ )?waiting requests?$/).waitFor()
    await desk.olivia.press('Stop the agent now')
    await page.getByText(/^Stopped: revocation \d+ is recorded\. Denied (one|\d+) requests?\.$/).waitFor()
    // What it touched is shown next.
    await page.getByRole('heading', { name: 'This is what it touched' }).waitFor()
    await page.getByRole('link', { name: '← Agents' }).click()
    const stopped = page.locator('article.card', { hasText: 'Invoice reconciler' })
    await stopped.getByText('Stopped', { exact: true }).waitFor()
    await stopped.getByText('waiting').waitFor({ state: 'detached' })
    await page.getByRole('link', { name: 'Grants' }).click()
    await desk.olivia.press('Ended')
    await page.locator('article.grant.revoked', { hasText: 'to be stopped' }).waitFor()
    await desk.olivia.press('Stop everything…')
    await page.getByLabel('Type “stop” to confirm').fill('no')
    await desk.olivia.press('Stop everything now')
    await page.getByRole('alert').getByText('Type “stop” to confirm.').waitFor()
    await page.getByLabel('Type “stop” to confirm').fill('stop')
    await desk.olivia.press('Stop everything now')
    await page.getByText(/^Stopped: revocation \d+ is recorded\.$/).waitFor()
    await desk.olivia.press('Active')
    await page.getByText('Nothing is granted now.').waitFor()
  })
}
