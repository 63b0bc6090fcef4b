import { sample, sampleAgentId, sampleAuthority } from '@bailiwick/standalone/sample'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import { type System, startSystem } from '@bailiwick/testkit'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  aPerson,
  enrolFirst,
  expectNoSidewaysScroll,
  launch,
  noBrowser,
  type Person,
  seriousFindings,
  withPasskey,
} from './browser.ts'

let system: System
let browser: Browser
let olivia: Person

describe.skipIf(noBrowser)('the console, in Chromium, at a desk', () => {
  beforeAll(async () => {
    system = await startSystem()
    browser = await launch()
    olivia = await aPerson(browser)
    await enrolFirst(olivia, system)
  }, 60_000)
  afterAll(async () => {
    await browser.close()
    await system[Symbol.asyncDispose]()
  })

  let asked = 1_000_000
  const ask = async (task: string, name: (typeof sample.agents)[number] = 'reconciler') => {
    const agent = sampleAgent(system.host, name)
    const { requestId } = await agent.request({
      // Each is another ask: what was denied rests, by whatever name it comes again.
      authority: { ...sampleAuthority, task, budget: { ...sampleAuthority.budget, egress_bytes: ++asked } },
      mode: 'window',
      expiresInSeconds: 3600,
      purpose: 'Month end',
    })
    return requestId
  }
  const open = async ({ page }: Person, requestId: string) => {
    await page.goto(`${system.url}/console/requests/${requestId}`)
    await page.locator('article.request').waitFor()
  }
  const propose = async (type: string, id: string, value: unknown) => {
    const payload = { proposer: 'carl', entities: [{ type, id, value }] }
    const answer = await system.host.operator.inject({ method: 'POST', url: '/operator/registry/changes', payload })
    return (answer.json() as { request_id: string }).request_id
  }
  const approve = async (person: Person, requestId: string) => {
    await open(person, requestId)
    await person.press('Approve as asked…')
    await person.press('Sign with passkey')
  }
  const stateOf = (requestId: string) =>
    system.services.policyDecision.pdp.projection.ledger.requests.requests.get(requestId)?.state

  it('a passkey that does not verify the person signs nothing, and says so (V3)', async () => {
    const requestId = await ask('not verified')
    await open(olivia, requestId)
    await olivia.verified(false)
    await olivia.press('Approve as asked…')
    await olivia.press('Sign with passkey')
    await olivia.page.getByRole('alert').getByText('Nothing was signed').waitFor()
    expect(stateOf(requestId)).toBe('pending')
    await olivia.verified(true)
    await olivia.press('Sign with passkey')
    await olivia.page.getByText('Approved.', { exact: true }).waitFor()
    expect(stateOf(requestId)).toBe('approved')
  }, 60_000)

  it('a session that ends in the middle leaves nothing signed, and its person where they were', async () => {
    const requestId = await ask('in the middle')
    await open(olivia, requestId)
    await olivia.press('Approve as asked…')
    await olivia.page.getByRole('dialog').getByText('At most 200 calls in all').waitFor()
    // As when its half hour is over: the server no longer knows it.
    await olivia.page.evaluate(() =>
      fetch('/console/api/session/end', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{}',
      }),
    )
    await olivia.page.getByText('Your session ended.').waitFor()
    expect(await olivia.page.getByText('At most 200 calls').count()).toBe(0)
    expect(stateOf(requestId)).toBe('pending')
    await olivia.press('Sign in with passkey')
    await olivia.page.locator(`article[data-request="${requestId}"]`).waitFor()
    await olivia.press('Approve as asked…')
    await olivia.press('Sign with passkey')
    await olivia.page.getByText('Approved.', { exact: true }).waitFor()
  }, 60_000)

  it('approves with the keyboard alone', async () => {
    const requestId = await ask('by keyboard')
    const { page } = olivia
    await page.goto(`${system.url}/console/inbox`)
    await page.getByRole('link', { name: 'by keyboard' }).waitFor()
    const focused = () => page.evaluate<string>("document.activeElement?.textContent ?? ''")
    const tabTo = async (text: string) => {
      for (let n = 0; n < 40; n++) {
        await page.keyboard.press('Tab')
        if ((await focused()).trim() === text) return
      }
      throw new Error(`the keyboard does not reach ${text}`)
    }
    await page.keyboard.press('Tab')
    expect(await focused()).toBe('Skip to the content')
    await tabTo('"by keyboard"')
    await page.keyboard.press('Enter')
    await page.locator('article.request').waitFor()
    await tabTo('Approve as asked…')
    const outline = await page.evaluate('getComputedStyle(document.activeElement).outlineStyle')
    expect(outline).toBe('solid')
    await page.keyboard.press('Enter')
    await page.getByRole('dialog').getByText('At most 200 calls in all').waitFor()
    await tabTo('Sign with passkey')
    await page.keyboard.press('Enter')
    await page.getByText('Approved.', { exact: true }).waitFor()
    expect(stateOf(requestId)).toBe('approved')
  }, 60_000)

  it('a dialog that stood open while the agent took its ask back asks for no passkey (V3)', async () => {
    const requestId = await ask('taken back')
    await open(olivia, requestId)
    await olivia.press('Approve as asked…')
    const dialog = olivia.page.getByRole('dialog')
    await dialog.getByText('At most 200 calls in all').waitFor()
    await sampleAgent(system.host, 'reconciler').cancel(requestId)
    await dialog.getByRole('alert').getByText('there is nothing to sign any more').waitFor() // nothing was pressed
    const before = olivia.sent.length
    await olivia.press('Sign with passkey')
    await expect.poll(() => dialog.getByRole('alert').count()).toBe(2)
    expect(olivia.sent.slice(before).filter((sent) => sent.includes('/approve'))).toEqual([])
    await olivia.press('Back')
  }, 60_000)

  it('Escape closes a dialog, and the focus is back where it was', async () => {
    const requestId = await ask('escape')
    await open(olivia, requestId)
    await olivia.press('Deny…')
    await olivia.page.getByRole('dialog').waitFor()
    await olivia.page.keyboard.press('Escape')
    await olivia.page.getByRole('dialog').waitFor({ state: 'detached' })
    expect(await olivia.page.evaluate('document.activeElement?.textContent')).toBe('Deny…')
    expect(stateOf(requestId)).toBe('pending')
  }, 60_000)

  it('a second request of the same task shows what is new in it, and what the first one got', async () => {
    const agent = sampleAgent(system.host, 'reconciler')
    const { requestId } = await agent.request({
      authority: { ...sampleAuthority, task: 'by keyboard', budget: { calls: 300, cost: { EUR: '2000.00' } } },
      mode: 'window',
      expiresInSeconds: 3600,
    })
    await open(olivia, requestId)
    const { page } = olivia
    await page.getByText('It asks more than it asked then.').waitFor()
    await page.locator('li.added', { hasText: 'At most 300 calls in all' }).waitFor()
    await page.locator('li.removed', { hasText: 'At most 200 calls in all' }).waitFor()
    await page.locator('ul.similar').getByText('Approved').first().waitFor()
    await olivia.press('Deny…')
    await olivia.press('Deny it')
    await page.getByText('Denied.', { exact: true }).waitFor()
  }, 60_000)

  it('says, before and as it is signed, that a restarted workload keeps the grant (V3)', async () => {
    const agent = sampleAgent(system.host, 'forecaster')
    const { requestId } = await agent.request({
      authority: { ...sampleAuthority, task: 'through restarts' },
      mode: 'window',
      rebind: 'attested',
      expiresInSeconds: 3600,
    })
    await open(olivia, requestId)
    const { page } = olivia
    await page.getByText('Survives a restart under a new key').waitFor()
    await page.getByText('May be bound to a new, newly attested key of the same agent').waitFor()
    await olivia.press('Approve as asked…')
    await page.getByRole('dialog').getByText('May be bound to a new key of the same agent').waitFor()
    await olivia.press('Sign with passkey')
    await page.getByText('Approved.', { exact: true }).waitFor()
    const { requests } = system.services.policyDecision.pdp.projection.ledger.requests
    expect(requests.get(requestId)?.approved?.statement).toMatchObject({ rebind: 'attested' })
  }, 60_000)

  it('tells somebody who looks elsewhere that a request waits, once they wished it, and nothing of what is asked (V17)', async () => {
    const page = await olivia.context.newPage()
    await page.addInitScript({
      content: `window.told = []
        window.Notification = class {
          static permission = 'default'
          static async requestPermission() { return (Notification.permission = 'granted') }
          constructor(title, options) { told.push({ title, ...options }) }
        }
        document.hasFocus = () => false`,
    })
    await page.goto(`${system.url}/console/inbox`)
    const shown = (task: string) => page.getByRole('link', { name: task }).waitFor()
    await shown('escape') // it listens from then on
    const first = await ask('nobody wished it yet', 'forecaster')
    await shown('nobody wished it yet')
    const wish = page.getByRole('button', { name: 'Notify me while this is open' })
    await wish.click()
    await wish.waitFor({ state: 'detached' })
    const second = await ask('secret task', 'forecaster')
    await expect
      .poll(() => page.evaluate('told'), { timeout: 10_000 })
      .toEqual([{ title: 'Bailiwick', body: 'A request waits for an answer.', tag: 'bailiwick-inbox' }])
    await page.close()
    for (const requestId of [first, second]) await sampleAgent(system.host, 'forecaster').cancel(requestId)
  }, 60_000)

  it.each([
    ['light', 1100],
    ['dark', 1100],
    ['light', 375],
    ['dark', 375],
  ] as const)(
    'axe finds nothing serious on any page, %s, %i px wide, and none scrolls sideways',
    async (scheme, width) => {
      const { page } = olivia
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' })
      await page.setViewportSize({ width, height: 800 })
      const requestId = await ask(`axe ${scheme} ${width}`)
      const change = await propose('agent', `spiffe://bailiwick.local/agent/${scheme}${width}`, {
        id: `spiffe://bailiwick.local/agent/${scheme}${width}`,
        name: 'An agent to come',
        owner: sample.owner,
        attestor: { kind: 'join_token' },
        labels: [],
        proactive_requests: false,
      })
      const findings: string[] = []
      const look = async () => {
        await expectNoSidewaysScroll(page)
        findings.push(...(await seriousFindings(olivia)))
      }
      for (const path of [
        'inbox',
        'grants',
        'agents',
        'registry',
        'rules',
        'people',
        `requests/${change}`,
        `requests/${requestId}`,
      ]) {
        await page.goto(`${system.url}/console/${path}`)
        await page.getByRole('heading', { level: 1 }).waitFor()
        await expect.poll(() => page.locator('.loading').count(), { timeout: 20_000 }).toBe(0)
        await look()
      }
      await olivia.press('Approve narrower…')
      await look()
      await olivia.press('Back to the request')
      await olivia.press('Approve as asked…')
      await page.getByRole('dialog').getByText('At most 200 calls in all').waitFor()
      await look()
      await olivia.press('Back')
      await olivia.press('Deny…')
      await look()
      await olivia.press('Deny it')
      await page.getByText('Denied.', { exact: true }).waitFor()
      await page.goto(`${system.url}/console/people`)
      await olivia.press('Invite a person…')
      await look()
      await olivia.press('Back')
      await using stranger = await aPerson(browser, { width, height: 800 })
      await stranger.page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' })
      await stranger.page.goto(`${system.url}/console/inbox`)
      await stranger.page.getByRole('heading', { name: 'Sign in' }).waitFor()
      await expectNoSidewaysScroll(stranger.page)
      findings.push(...(await seriousFindings(stranger)))
      expect(findings).toEqual([])
    },
    120_000,
  )

  it('of a quorum of two, one signature grants nothing, and two different people’s do (V3, V10)', async () => {
    await olivia.page.setViewportSize({ width: 1100, height: 900 })
    const bob = await aPerson(browser)
    await approve(olivia, await propose('approver', 'bob', await withPasskey(bob, 'bob')))
    await olivia.page.getByText('Approved.', { exact: true }).waitFor()
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
    await approve(olivia, await propose('rule', 'pairs', rule))
    await olivia.page.getByText('Approved.', { exact: true }).waitFor()

    const requestId = await ask('by two', 'forecaster')
    await approve(olivia, requestId)
    await olivia.page.getByText('Signed. It takes more people: 1 so far.').waitFor()
    expect(stateOf(requestId)).toBe('pending')
    await open(olivia, requestId)
    await olivia.page.getByText('1 signed so far: owner').waitFor()

    await bob.page.goto(`${system.url}/console/requests/${requestId}`)
    await bob.press('Sign in with passkey')
    await bob.page.getByText('1 signed so far: owner').waitFor()
    // What somebody signed is signed again word for word, so nobody narrows it any more.
    expect(await bob.page.getByRole('button', { name: 'Approve narrower…' }).count()).toBe(0)
    await bob.press('Approve as asked…')
    await bob.press('Sign with passkey')
    await bob.page.getByText('Approved.', { exact: true }).waitFor()
    expect(stateOf(requestId)).toBe('approved')
    // The other one's page hears of it.
    await olivia.page.getByText('Answered by owner, bob').waitFor()
  }, 60_000)

  it('a colleague joins by a link, and counts once the change is signed (V3)', async () => {
    const { page } = olivia
    await page.goto(`${system.url}/console/people`)
    await olivia.press('Invite a person…')
    await page.getByLabel('Approver id').fill('carla')
    await page.getByRole('dialog').getByLabel('Name', { exact: true }).fill('Carla Colleague')
    await olivia.press('Make the link')
    const link = (await page.locator('.link-box').textContent()) ?? ''
    await olivia.press('Done')
    const carla = await aPerson(browser)
    await carla.page.goto(link)
    await carla.page.getByRole('heading', { name: 'Join as Carla Colleague' }).waitFor()
    expect(carla.page.url()).toBe(`${system.url}/`)
    await carla.press('Create passkey')
    await carla.page.getByText('It counts once the change of the registry is approved.').waitFor()
    await carla.press('Go to sign-in')
    await carla.press('Sign in with passkey')
    await carla.page.getByRole('alert').waitFor()

    await page.goto(`${system.url}/console/registry`)
    await page.getByRole('link', { name: 'Register approver carla' }).click()
    await page.getByText('Changes who may approve').waitFor()
    await olivia.press('Approve as asked…')
    await olivia.press('Sign with passkey')
    await page.getByText('Approved.', { exact: true }).waitFor()
    await carla.press('Sign in with passkey')
    await carla.page.getByRole('heading', { name: 'Inbox' }).waitFor()

    // The link is used up.
    const thief = await aPerson(browser)
    await thief.page.goto(link)
    await thief.page.getByRole('heading', { name: 'This link does not work' }).waitFor()
  }, 60_000)

  it('adds a passkey of one’s own and retires it, each by a change that is signed', async () => {
    const { page, cdp } = olivia
    const passkeys = async (count: number) => {
      await page.goto(`${system.url}/console/people`)
      await page
        .locator('.card', { hasText: 'Your passkeys' })
        .locator('li')
        .nth(count - 1)
        .waitFor()
      expect(await page.locator('.card', { hasText: 'Your passkeys' }).locator('li').count()).toBe(count)
    }
    const sign = async () => {
      await page.locator('article.request').waitFor()
      await olivia.press('Approve as asked…')
      await olivia.press('Sign with passkey')
      await page.getByText('Approved.', { exact: true }).waitFor()
    }
    await passkeys(1)
    // A platform authenticator makes one a person: the second is on another device.
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
    await olivia.press('Add a passkey…')
    await olivia.press('Create passkey')
    await page.locator('article.request').waitFor()
    await cdp.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId }) // into the drawer
    await sign()
    await passkeys(2)
    await page.getByRole('button', { name: 'Retire…' }).last().click()
    await olivia.press('Propose to retire it')
    await sign()
    await passkeys(1)
  }, 60_000)

  it('stops an agent, and then everything, after it was said twice (V7)', async () => {
    const { page } = olivia
    await approve(olivia, await ask('to be stopped'))
    await page.getByText('Approved.', { exact: true }).waitFor()
    await page.goto(`${system.url}/console/agents`)
    await page
      .locator('article.card', { hasText: 'Invoice reconciler' })
      .getByRole('button', { name: 'Stop this agent…' })
      .click()
    await olivia.press('Stop the agent now')
    await page.getByText(/^Stopped: revocation \d+ is recorded\.$/).waitFor()
    await page.getByRole('link', { name: 'Grants' }).click()
    await olivia.press('Ended')
    await page.locator('article.grant.revoked', { hasText: 'to be stopped' }).waitFor()
    await olivia.press('Stop everything…')
    await page.getByLabel('Type “stop” to confirm').fill('no')
    await olivia.press('Stop everything now')
    await page.getByRole('alert').getByText('Type “stop” to confirm.').waitFor()
    await page.getByLabel('Type “stop” to confirm').fill('stop')
    await olivia.press('Stop everything now')
    await page.getByText(/^Stopped: revocation \d+ is recorded\.$/).waitFor()
    await olivia.press('Active')
    await page.getByText('Nothing is granted now.').waitFor()
  }, 60_000)

  it('nobody frames it, and only scripts and styles of its own run', async () => {
    for (const path of ['/', '/console', '/console/inbox', '/console/requests/x', '/console/api/hello']) {
      const { headers } = await fetch(`${system.url}${path}`)
      const policy = headers.get('content-security-policy') ?? ''
      expect(policy).toMatch(/default-src 'none'/)
      expect(policy).toMatch(/script-src 'self'(;|$)/)
      expect(policy).toMatch(/style-src 'self'(;|$)/)
      expect(policy).toMatch(/frame-ancestors 'none'/)
      expect(headers.get('x-frame-options')).toBe('DENY')
    }
    const html = await (await fetch(`${system.url}/console`)).text()
    expect(html).not.toMatch(/<script(?![^>]* src="\/console\/)|<style|style=|\son\w+=/)
    const hosts = new Set(olivia.sent.map((request) => new URL(request.split(' ')[0] ?? '').origin))
    hosts.delete('null') // the empty icon
    expect([...hosts]).toEqual([system.url])
    expect(olivia.complaints.filter((text) => !/status of (401|404)/.test(text))).toEqual([])
  }, 60_000)
})
