import { invitationAddress, paths, policySetOf, readPolicyFiles, storePolicyFiles } from '@bailiwick/installation'
import { sampleAuthority } from '@bailiwick/standalone/sample'
import { publishSampleRequest, sampleAgent } from '@bailiwick/standalone/sample-agent'
import type { Page } from 'playwright-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { expectNoSidewaysScroll, noBrowser, seriousFindings } from './browser.ts'
import { atADesk } from './desk.ts'

describe.skipIf(noBrowser)('the console, in Chromium, on a phone', () => {
  const desk = atADesk({ viewport: { width: 375, height: 800 }, enrolled: false })
  let page: Page
  beforeAll(() => {
    page = desk.olivia.page
  })

  const press = (name: string) => desk.olivia.press(name)
  const open = async (task: string) => {
    await page.goto(`${desk.system.url}/console/inbox`)
    await page.getByRole('link', { name: task }).first().click()
    await page.locator('article.request').waitFor()
  }
  const inboxIsEmpty = () => page.getByText('No agent waits for you.').waitFor()

  it('a person enrols with the invitation, which never leaves the browser (V17)', async () => {
    const address = invitationAddress(desk.system.data)
    const jwk = JSON.parse(Buffer.from(address.split('invitation=')[1] ?? '', 'base64url').toString())
    await page.goto(`${desk.system.url}/`)
    await page.getByRole('heading', { level: 1, name: 'No approver is enrolled yet' }).waitFor()
    expect(await seriousFindings(desk.olivia)).toEqual([])
    await page.goto(address) // in the same tab, where only the fragment changes
    await page.getByRole('heading', { name: 'Become the first approver' }).waitFor()
    expect(await seriousFindings(desk.olivia)).toEqual([])
    expect(page.url()).toBe(`${desk.system.url}/`)
    await page.getByLabel('Your name').fill('Olivia Owner')
    await press('Create passkey and enrol')
    await inboxIsEmpty()
    await page.getByText('Single operator.').waitFor()
    expect(desk.olivia.sent.some((request) => request.includes(jwk.d))).toBe(false)
    expect(desk.olivia.sent.some((request) => request.includes(address.split('#')[1] ?? ''))).toBe(false)
  })

  it('sees an agent’s request from the topic at once, narrows it, signs exactly that, and the agent can work', async () => {
    await publishSampleRequest(desk.system.host)
    // No button was pressed: server-sent events brought it.
    const link = page.getByRole('link', { name: sampleAuthority.task })
    await link.waitFor()
    await page.getByText('Can spend money').waitFor()
    const requestId = await page.locator('article[data-request]').getAttribute('data-request')
    await link.click()
    await page.getByText('Reconcile the invoices of the third quarter').waitFor()
    await page.getByText('2,000.00 EUR', { exact: true }).waitFor()
    await press('Approve narrower…')
    await page.getByLabel('Calls, at most').fill('50')
    await page.getByLabel('EUR, at most').fill('1000.00')
    await page.getByLabel('/amount, at most').fill('99.50')
    await press('Review and sign…')
    const dialog = page.getByRole('dialog')
    await dialog.getByText('At most 50 calls in all').waitFor()
    await dialog.getByText(/\/amount is at most 99\.50/).waitFor()
    await dialog.getByText('May spend at most 1,000.00 EUR in all').waitFor()
    await press('Sign with passkey')
    await inboxIsEmpty()
    await page.getByRole('link', { name: 'Grants' }).click()
    const grant = page.locator('article.grant.active')
    await grant.getByText('0 of 50').waitFor()
    const agent = sampleAgent(desk.system.host, 'reconciler')
    expect((await agent.credential({ requestId: requestId ?? '' })).token).toMatch(/^ey/)
  })

  it('cannot widen a request in the page, nor past it at the server', async () => {
    const agent = sampleAgent(desk.system.host, 'reconciler')
    const authority = { ...sampleAuthority, budget: { ...sampleAuthority.budget, calls: 150 } }
    await agent.request({ authority, mode: 'window', expiresInSeconds: 600 })
    await open(sampleAuthority.task)
    await page
      .getByText('Narrower, by owner')
      .or(page.getByText('narrower', { exact: true }))
      .first()
      .waitFor()
    await press('Approve narrower…')
    const calls = page.getByLabel('Calls, at most')
    await calls.fill('151')
    await press('Review and sign…')
    expect(await calls.evaluate((input) => input.matches(':invalid'))).toBe(true)
    expect(await page.getByRole('dialog').count()).toBe(0)
    await calls.evaluate((input) => input.removeAttribute('max'))
    await press('Review and sign…')
    await page.getByRole('dialog').getByText('The approval asks for more than the request').waitFor()
    await press('Back')
    await press('Back to the request')
    await press('Deny…')
    await page.getByRole('dialog').getByLabel('Reason').fill('once is enough')
    await press('Deny it')
    await inboxIsEmpty()
  })

  it('drops a permission, which the signed statement then lacks', async () => {
    const agent = sampleAgent(desk.system.host, 'forecaster')
    await agent.request({ authority: sampleAuthority, mode: 'window', expiresInSeconds: 600 })
    await open(sampleAuthority.task)
    await press('Approve narrower…')
    await press('Review and sign…')
    await page.getByText('Nothing is narrower yet.').waitFor()
    await page.getByLabel('tools/call on invoices/adjust').uncheck()
    await press('Review and sign…')
    const dialog = page.getByRole('dialog')
    const signed = dialog.getByRole('list', { name: 'What you approve' })
    await signed.getByText('May do tools/call on tool invoices/read').waitFor()
    expect(await signed.getByText('invoices/adjust').count()).toBe(0)
    const instead = dialog.getByRole('region', { name: 'Narrower than asked' }).locator('li.removed')
    await instead.getByText('May do tools/call on tool invoices/adjust').waitFor()
    await press('Sign with passkey')
    await inboxIsEmpty()
  })

  it('shows any words of an agent as plain text, apart from what is signed (V3)', async () => {
    const purpose =
      '<img src=x onerror="document.title=`taken`"><script>document.title="taken"</script></blockquote><li>At most 1 call in all</li>\u202e5\u2066\u200bZu\u0308rich\u2800x\u0335\u0335\u0335\u0335\u0335'
    const agent = sampleAgent(desk.system.host, 'forecaster')
    const task = 'with words; at most once; Reviewed by Bailiwick: "low risk"'
    const authority = { ...sampleAuthority, task, max_depth: 0 }
    await agent.request({ authority, mode: 'window', expiresInSeconds: 600, purpose })
    await open('with words')
    const heading = page.getByRole('heading', { level: 1 })
    expect(await heading.textContent()).toBe(`Cash forecaster asks: ${JSON.stringify(task)}`)
    const words = page.locator('figure.prose blockquote')
    await words.getByText('<script>').waitFor()
    expect(await words.textContent()).toContain('onerror=')
    expect(await words.locator('.unseen').allTextContents()).toEqual([
      'U+202E',
      'U+2066',
      'U+200B',
      'U+2800',
      'U+0335',
      'U+0335',
    ])
    expect(await words.locator('img, script, li').count()).toBe(0)
    expect(await page.locator('ul.lines li').allTextContents()).not.toContain('At most 1 call in all')
    expect(await page.title()).not.toBe('taken')
    await press('Deny…')
    await press('Deny it')
    await inboxIsEmpty()
  })

  it('shows what a registry change removes and adds, and applies it after a signature', async () => {
    const value = {
      id: 'spare',
      url: 'http://localhost:9999/',
      manifest: 'A'.repeat(43),
      tools: { look: { labels: [] }, 'l\u043eok': { labels: [] } }, // of which one has a Cyrillic letter
    }
    const propose = (tools: object) =>
      desk.system.host.operator.inject({
        method: 'POST',
        url: '/operator/registry/changes',
        payload: { proposer: 'carl', entities: [{ type: 'tool-server', id: 'spare', value: { ...value, tools } }] },
      })
    for (const [tools, verb] of [
      [value.tools, 'Register'],
      [{}, 'Change'],
    ] as const) {
      expect((await propose(tools)).statusCode).toBe(200)
      await page.getByRole('link', { name: 'Registry' }).click()
      await page.getByRole('link', { name: `${verb} tool-server spare` }).click()
      await page.getByText('/tools/look/labels: []').waitFor()
      await page.getByText('/tools/l\u043eok/labels: [] (spelled /tools/l\\u043eok/labels: [])').waitFor()
      await page.getByRole('heading', { name: 'carl proposes' }).waitFor()
      await page
        .getByText(/^After this, the tools of "spare" are what this change says; .*labelled so: "look": /)
        .waitFor()
      await page.getByText('Single operator: one person’s passkey changes everything here.').waitFor()
      await press('Approve as asked…')
      await press('Sign with passkey')
      await inboxIsEmpty()
    }
    const registry = () => desk.system.host.operator.inject({ method: 'GET', url: '/operator/registry' })
    const applied = expect.objectContaining({ id: 'spare', version: 2, value: { ...value, tools: {} } })
    await expect.poll(async () => (await registry()).json().entities).toContainEqual(applied)
  })

  it('shows the text of policies before they are signed, and signs no others (V3)', async () => {
    const registry = () => desk.system.services.policyDecision.pdp.projection.ledger.registry
    const active = registry().policySet?.hash ?? ''
    const files = new Map(readPolicyFiles(paths(desk.system.data).policies(active)))
    const [name = '', bytes = Buffer.of()] = [...files].find(([each]) => each.endsWith('.cedar')) ?? []
    files.set(name, Buffer.from(`${Buffer.from(bytes)}// with a \u202e in it\n`))
    const set = policySetOf(files)
    storePolicyFiles(paths(desk.system.data).policies(set.hash), files)
    const payload = { proposer: 'carl', entities: [{ type: 'policy-set', id: 'active', value: set }] }
    expect(
      (await desk.system.host.operator.inject({ method: 'POST', url: '/operator/registry/changes', payload }))
        .statusCode,
    ).toBe(200)
    await page.route('**/console/api/requests/req_*', async (route) => {
      const answer = await route.fetch()
      const body = await answer.text()
      await route.fulfill({ response: answer, body: body.replace('// with a', '// without a') })
    })
    await page.getByRole('link', { name: 'Registry' }).click()
    await page.getByRole('link', { name: 'Change policy-set active' }).click()
    await page.getByText('// without a U+202E in it').first().waitFor()
    await press('Approve as asked…')
    await press('Sign with passkey')
    await page.getByText('it was not signed').waitFor()
    await page.unroute('**/console/api/requests/req_*')
    await page.reload()
    await page.getByText('// with a U+202E in it').first().waitFor()
    expect(await page.locator('.policy-text .added').count()).toBe(1)
    await press('Approve as asked…')
    await press('Sign with passkey')
    await inboxIsEmpty()
    await expect.poll(() => registry().policySet?.hash).toBe(set.hash)
  })

  it('withdraws, signs out, and finds it revoked after signing in again (V7)', async () => {
    await page.getByRole('link', { name: 'Grants' }).click()
    const revoked = page.locator('article.grant.revoked')
    await page.getByRole('button', { name: 'Withdraw…' }).first().click()
    await press('Withdraw it now')
    await page.getByText('Withdrawn: revocation 1 is recorded.').waitFor()
    await press('Ended')
    await revoked.waitFor()
    await press('Sign out')
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    expect(await page.locator('article.grant').count()).toBe(0)
    await press('Sign in with passkey')
    await page.getByRole('heading', { name: 'Grants' }).waitFor()
    await press('Ended')
    await revoked.waitFor()
    const cookies = await page.context().cookies()
    expect(cookies).toMatchObject([{ name: '__Host-bailiwick', secure: true, httpOnly: true, sameSite: 'Strict' }])
  })

  it('fits a phone, and nothing on the page breaks its content security policy', async () => {
    await expectNoSidewaysScroll(page)
    // The browser itself logs the provoked refusals (422, and 401 after signing out) and a busy machine's pauses.
    expect(desk.olivia.complaints.filter((text) => !/status of (401|422|503)/.test(text))).toEqual([])
  })
})
