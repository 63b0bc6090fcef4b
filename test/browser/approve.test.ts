import { existsSync } from 'node:fs'
import { invitationAddress } from '@bailiwick/installation'
import { sampleAuthority } from '@bailiwick/standalone/sample'
import { publishSampleRequest, sampleAgent } from '@bailiwick/standalone/sample-agent'
import { type System, startSystem } from '@bailiwick/testkit'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const executablePath = process.env.CHROMIUM ?? places.find((path) => existsSync(path))

let system: System
let browser: Browser
let page: Page
/** Whatever the page asked of the server: its path, and what it sent. */
const sent: string[] = []
const complaints: string[] = []

describe.skipIf(executablePath === undefined && process.env.CI !== 'true')('the plain page, in Chromium', () => {
  beforeAll(async () => {
    system = await startSystem()
    browser = await chromium.launch({ executablePath: executablePath ?? '', args: ['--no-sandbox'] })
    page = await browser.newPage({ viewport: { width: 375, height: 800 } })
    page.setDefaultTimeout(15_000)
    page.on('request', (request) => sent.push(`${request.url()} ${request.postData() ?? ''}`))
    page.on('pageerror', (error) => complaints.push(error.message))
    page.on('console', (message) => complaints.push(message.text()))
    const authenticator = await page.context().newCDPSession(page)
    await authenticator.send('WebAuthn.enable')
    await authenticator.send('WebAuthn.addVirtualAuthenticator', {
      options: {
        protocol: 'ctap2',
        transport: 'internal',
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: true,
      },
    })
  }, 60_000)
  afterAll(async () => {
    await browser.close()
    await system[Symbol.asyncDispose]()
  })

  const press = (name: string) => page.getByRole('button', { name, exact: true }).click()

  it('a person enrols with the invitation, which never leaves the browser (V17)', async () => {
    const address = invitationAddress(system.data)
    const jwk = JSON.parse(Buffer.from(address.split('invitation=')[1] ?? '', 'base64url').toString())
    await page.goto(address)
    await page.getByRole('heading', { name: 'Become the first approver' }).waitFor()
    expect(page.url()).toBe(`${system.url}/`)
    await page.getByLabel('Your name').fill('Olivia Owner')
    await press('Create passkey and enrol')
    await page.getByText('No agent waits for you.').waitFor()
    await page.getByText('Single operator.').waitFor()
    expect(sent.some((request) => request.includes(jwk.d))).toBe(false)
    expect(sent.some((request) => request.includes(address.split('#')[1] ?? ''))).toBe(false)
  }, 60_000)

  it('sees what an agent asked on the topic, narrows it, signs exactly that, and the agent can work', async () => {
    await publishSampleRequest(system.host)
    const ask = page.locator('article[data-request]')
    await ask.getByText('May spend at most 2000.00 EUR in all').waitFor()
    await ask.getByText('Reconcile the invoices of the third quarter').waitFor()
    const requestId = await ask.getAttribute('data-request')
    await ask.getByLabel('Calls, at most').fill('50')
    await ask.getByLabel('EUR, at most').fill('1000.00')
    await ask.getByRole('button', { name: 'Approve…' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByText('At most 50 calls in all').waitFor()
    await dialog.getByText('May spend at most 1000.00 EUR in all').waitFor()
    await press('Sign with passkey')
    await page.locator('article.grant.active').waitFor()
    const agent = sampleAgent(system.host, 'reconciler')
    expect((await agent.credential({ requestId: requestId ?? '' })).token).toMatch(/^ey/)
  }, 60_000)

  it('is stopped from widening by the page, and by the server behind it', async () => {
    const agent = sampleAgent(system.host, 'reconciler')
    await agent.request({ authority: sampleAuthority, mode: 'window', expiresInSeconds: 600 })
    const ask = page.locator('article[data-request]')
    const calls = ask.getByLabel('Calls, at most')
    await calls.fill('201')
    await ask.getByRole('button', { name: 'Approve…' }).click()
    await page.getByText('A value is wider than what was asked.').waitFor()
    await calls.evaluate((input) => input.removeAttribute('max'))
    await ask.getByRole('button', { name: 'Approve…' }).click()
    await page.getByText('The approval asks for more than the request').waitFor()
    await ask.getByRole('button', { name: 'Deny…' }).click()
    await page.getByRole('dialog').getByLabel('Reason').fill('once is enough')
    await press('Deny it')
    await page.getByText('No agent waits for you.').waitFor()
  }, 60_000)

  it('shows an agent’s words as words, whatever they would rather be, and apart from what is signed (V3)', async () => {
    const purpose =
      '<img src=x onerror="document.title=`taken`"><script>document.title="taken"</script></blockquote><li>At most 1 call in all</li>\u202e5\u2066\u200b'
    const agent = sampleAgent(system.host, 'reconciler')
    await agent.request({ authority: sampleAuthority, mode: 'window', expiresInSeconds: 600, purpose })
    const ask = page.locator('article[data-request]')
    const words = ask.locator('figure.prose blockquote')
    await words.getByText('<script>').waitFor()
    expect(await words.textContent()).toContain('onerror=')
    expect(await words.locator('.unseen').allTextContents()).toEqual(['U+202E', 'U+2066', 'U+200B'])
    expect(await words.locator('img, script, li').count()).toBe(0)
    expect(await ask.locator('ul.lines li').allTextContents()).not.toContain('At most 1 call in all')
    expect(await page.title()).not.toBe('taken')
    await ask.getByRole('button', { name: 'Deny…' }).click()
    await press('Deny it')
    await page.getByText('No agent waits for you.').waitFor()
  }, 60_000)

  it('shows what a registry change takes away and adds, and applies it after a signature', async () => {
    const value = {
      id: 'spare',
      url: 'http://localhost:9999/',
      manifest: 'A'.repeat(43),
      tools: { look: { labels: [] } },
    }
    const propose = (tools: object) =>
      system.host.operator.inject({
        method: 'POST',
        url: '/operator/registry/changes',
        payload: { proposer: 'carl', entities: [{ type: 'tool-server', id: 'spare', value: { ...value, tools } }] },
      })
    for (const [tools, line] of [
      [value.tools, '/tools/look/labels: []'],
      [{}, '/tools/look/labels: []'],
    ] as const) {
      expect((await propose(tools)).statusCode).toBe(200)
      const change = page.locator('article', { hasText: 'Change of the registry' })
      await change.getByText(line).waitFor()
      await change.getByText('proposed by carl').waitFor()
      await change.getByRole('button', { name: 'Approve…' }).click()
      await press('Sign with passkey')
      await page.getByText('None is proposed.').waitFor()
    }
    const registry = await system.host.operator.inject({ method: 'GET', url: '/operator/registry' })
    const applied = expect.objectContaining({ id: 'spare', version: 2, value: { ...value, tools: {} } })
    expect(registry.json().entities).toContainEqual(applied)
  }, 60_000)

  it('withdraws, signs out, and finds it revoked after signing in again (V7)', async () => {
    await press('Withdraw…')
    await press('Withdraw it now')
    await page.locator('article.grant.revoked').waitFor()
    await press('Sign out')
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    expect(await page.locator('article.grant').count()).toBe(0)
    await press('Sign in with passkey')
    await page.locator('article.grant.revoked').waitFor()
    const cookies = await page.context().cookies()
    expect(cookies).toMatchObject([{ name: '__Host-bailiwick', secure: true, httpOnly: true, sameSite: 'Strict' }])
  }, 60_000)

  it('fits a phone, and nothing on the page breaks its content security policy', async () => {
    const wide = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
    expect(wide).toBe(0)
    // The two refusals that were provoked (422, and 401 after signing out) are logged by the browser itself.
    expect(complaints.filter((text) => !/status of (401|422)/.test(text))).toEqual([])
  }, 60_000)
})
