import { sampleAuthority } from '@bailiwick/standalone/sample'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import { expect, it } from 'vitest'
import { findingsOf, looks, seenAs } from '../browser.ts'
import type { Desk } from '../desk.ts'

/** Approving and denying, and everything in between. */
export function answering(desk: Desk): void {
  it('a passkey that does not verify the person signs nothing, and says so (V3)', async () => {
    const requestId = await desk.ask('not verified')
    await desk.goTo(`requests/${requestId}`)
    await desk.olivia.verified(false)
    await desk.olivia.press('Approve as asked…')
    await desk.olivia.press('Sign with passkey')
    await desk.olivia.page.getByRole('alert').getByText('Nothing was signed').waitFor()
    expect(await desk.stateOf(requestId)).toBe('pending')
    await desk.olivia.verified(true)
    await desk.olivia.press('Sign with passkey')
    await desk.olivia.page.getByText('Approved.', { exact: true }).waitFor()
    expect(await desk.stateOf(requestId)).toBe('approved')
  })

  it('a session that ends in the middle leaves nothing signed, and the person returns to the same page and narrowing', async () => {
    const requestId = await desk.ask('in the middle')
    await desk.goTo(`requests/${requestId}`)
    await desk.olivia.press('Approve narrower…')
    const calls = desk.olivia.page.getByLabel('Calls, at most')
    await calls.fill('50')
    await desk.olivia.page.getByLabel('tools/call on invoices/adjust').uncheck()
    await desk.olivia.press('Review and sign…')
    await desk.olivia.page.getByRole('dialog').getByText('At most 50 calls in all').waitFor()
    // As after its half hour: the server no longer knows it.
    await desk.olivia.page.evaluate(() =>
      fetch('/console/api/session/end', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{}',
      }),
    )
    await desk.olivia.page.getByText('Your session ended.').waitFor()
    expect(await desk.olivia.page.getByText('At most 50 calls').count()).toBe(0)
    expect(await desk.stateOf(requestId)).toBe('pending')
    await desk.olivia.press('Sign in with passkey')
    await desk.olivia.page.locator(`article[data-request="${requestId}"]`).waitFor()
    expect(await calls.inputValue()).toBe('50')
    expect(await desk.olivia.page.getByLabel('tools/call on invoices/adjust').isChecked()).toBe(false)
    await desk.olivia.press('Back to the request')
    await desk.olivia.press('Approve as asked…')
    await desk.olivia.press('Sign with passkey')
    await desk.olivia.page.getByText('Approved.', { exact: true }).waitFor()
  })

  it('approves with the keyboard alone', async () => {
    const requestId = await desk.ask('by keyboard')
    const { page } = desk.olivia
    await page.goto(`${desk.system.url}/console/inbox`)
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
    expect(await desk.stateOf(requestId)).toBe('approved')
  })

  it('a dialog left open while the agent took its request back asks for no passkey (V3)', async () => {
    const requestId = await desk.ask('taken back')
    await desk.goTo(`requests/${requestId}`)
    await desk.olivia.press('Approve as asked…')
    const dialog = desk.olivia.page.getByRole('dialog')
    await dialog.getByText('At most 200 calls in all').waitFor()
    await sampleAgent(desk.system.host, 'reconciler').cancel(requestId)
    await dialog.getByRole('alert').getByText('there is nothing left to sign').waitFor() // nothing was pressed
    expect(await dialog.getByRole('button', { name: 'Sign with passkey' }).isDisabled()).toBe(true)
    await desk.olivia.press('Back')
  })

  it('Escape closes a dialog, and the focus returns to where it was', async () => {
    const requestId = await desk.ask('escape')
    await desk.goTo(`requests/${requestId}`)
    await desk.olivia.press('Deny…')
    await desk.olivia.page.getByRole('dialog').waitFor()
    await desk.olivia.page.keyboard.press('Escape')
    await desk.olivia.page.getByRole('dialog').waitFor({ state: 'detached' })
    await expect.poll(() => desk.olivia.page.evaluate('document.activeElement?.textContent')).toBe('Deny…')
    expect(await desk.stateOf(requestId)).toBe('pending')
  })

  it('a second request for the same task shows what is new, and how the first one ended', async () => {
    const agent = sampleAgent(desk.system.host, 'reconciler')
    const { requestId } = await agent.request({
      authority: { ...sampleAuthority, task: 'by keyboard', budget: { calls: 300, cost: { EUR: '2000.00' } } },
      mode: 'window',
      expiresInSeconds: 3600,
    })
    await desk.goTo(`requests/${requestId}`)
    const { page } = desk.olivia
    await page.getByText('Asks more than last time; that was approved.').waitFor()
    await page.getByText('It asks more than was approved then.').waitFor()
    await page.locator('li.added', { hasText: 'At most 300 calls in all' }).waitFor()
    await page.locator('li.removed', { hasText: 'At most 200 calls in all' }).waitFor()
    await page.locator('ul.similar').getByText('Approved').first().waitFor()
    await desk.olivia.press('Deny…')
    await desk.olivia.press('Deny it')
    await page.getByText('Denied.', { exact: true }).waitFor()
    await desk.goTo(`requests/${requestId}`)
    await page.getByText('Denied by owner.').waitFor()
  })

  it('the page polls where the server cannot announce changes', async () => {
    const page = await desk.olivia.context.newPage()
    await page.clock.install()
    await page.route('**/console/api/events*', (route) => route.fulfill({ status: 204 }))
    await page.goto(`${desk.system.url}/console/inbox?q=without+events`) // what arrives in an empty list is shown at once
    await page.getByText('Not live', { exact: true }).waitFor()
    await page.locator('.toolbar').waitFor()
    const requestId = await desk.ask('without events', 'forecaster')
    await desk.ledger()
    await expect
      .poll(async () => {
        await page.clock.fastForward(15_000)
        return page.getByRole('link', { name: 'without events' }).count()
      })
      .toBe(1)
    await page.close()
    await sampleAgent(desk.system.host, 'forecaster').cancel(requestId)
  })

  it('the page reports a silent server, and no longer calls its contents live', async () => {
    const page = await desk.olivia.context.newPage()
    await page.clock.install()
    await page.goto(`${desk.system.url}/console/agents`)
    await page.getByText('Live', { exact: true }).waitFor()
    const later = (shown: () => Promise<number>) =>
      expect
        .poll(async () => {
          await page.clock.fastForward(15_000)
          return shown()
        })
        .toBe(1)
    const silence = page.getByText('The server does not answer')
    await page.route('**/console/api/**', (route) => route.abort())
    await later(() => silence.count())
    await page.getByText('Not live', { exact: true }).waitFor()
    await page.getByRole('link', { name: 'Rules' }).click()
    await later(() => page.getByText('The server cannot be reached.').count())
    await page.unroute('**/console/api/**')
    await later(async () => ((await silence.count()) === 0 ? 1 : 0))
    await page.close()
  })

  it('a request too long to read can only be denied, and the page says so (V3)', async () => {
    const long = (n: number) => ({
      actions: ['tools/call'],
      resource: { type: 'tool', id: `invoices/${n}-${'x'.repeat(250)}` },
    })
    const permissions = Array.from({ length: 22 }, (_, n) => long(n))
    const agent = sampleAgent(desk.system.host, 'forecaster')
    const authority = { ...sampleAuthority, task: 'a wall of text', permissions }
    const { requestId } = await agent.request({ authority, mode: 'window', expiresInSeconds: 600 })
    const { page } = desk.olivia
    const card = page.locator('.card.refused')
    for (const look of [looks[1], looks[2], looks[0]]) {
      await seenAs(desk.olivia, look)
      await desk.goTo(`requests/${requestId}`)
      await card.getByRole('heading', { name: 'Not inspectable' }).waitFor()
      await card.getByText('authority: longer than anybody reads').waitFor()
      expect(await findingsOf(desk.olivia)).toEqual([])
    }
    expect(await page.getByRole('button', { name: /^Approve/ }).count()).toBe(0)
    await desk.olivia.press('Deny…')
    await desk.olivia.press('Deny it')
    await page.getByText('Denied.', { exact: true }).waitFor()
    await expect.poll(() => desk.stateOf(requestId)).toBe('denied')
  }, 60_000)

  it('says, before and during signing, that a restarted workload keeps the grant (V3)', async () => {
    const agent = sampleAgent(desk.system.host, 'forecaster')
    const { requestId } = await agent.request({
      authority: { ...sampleAuthority, task: 'through restarts' },
      mode: 'window',
      rebind: 'attested',
      expiresInSeconds: 3600,
    })
    await desk.goTo(`requests/${requestId}`)
    const { page } = desk.olivia
    await page.getByText('Survives a restart under a new key').waitFor()
    await page.getByText('May be bound to a new, newly attested key of the same agent').waitFor()
    await desk.olivia.press('Approve as asked…')
    await page.getByRole('dialog').getByText('May be bound to a new key of the same agent').waitFor()
    await desk.olivia.press('Sign with passkey')
    await page.getByText('Approved.', { exact: true }).waitFor()
    const { requests } = (await desk.ledger()).requests
    expect(requests.get(requestId)?.approved?.statement).toMatchObject({ rebind: 'attested' })
  })

  it('notifies a person in another window that a request waits, if they opted in, without its content (V17)', async () => {
    const page = await desk.olivia.context.newPage()
    await page.addInitScript({
      content: `window.told = []
        window.Notification = class {
          static permission = 'default'
          static async requestPermission() { return (Notification.permission = 'granted') }
          constructor(title, options) { told.push({ title, ...options }) }
        }
        document.hasFocus = () => false`,
    })
    await page.goto(`${desk.system.url}/console/inbox`)
    const shown = (task: string) => page.getByRole('link', { name: task }).waitFor()
    await shown('escape') // from here on it listens
    const first = await desk.ask('not wanted yet', 'forecaster')
    await page.getByRole('button', { name: '1 new: show' }).click()
    await shown('not wanted yet')
    const wish = page.getByRole('button', { name: 'Notify me while this is open' })
    await wish.click()
    await wish.waitFor({ state: 'detached' })
    const second = await desk.ask('secret task', 'forecaster')
    await expect
      .poll(() => page.evaluate('told'))
      .toEqual([{ title: 'Bailiwick', body: 'A request waits for an answer.', tag: 'bailiwick-inbox' }])
    await page.close()
    for (const requestId of [first, second]) await sampleAgent(desk.system.host, 'forecaster').cancel(requestId)
  })
}
