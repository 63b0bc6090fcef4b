import { sampleAuthority } from '@bailiwick/standalone/sample'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import { describe, expect, it } from 'vitest'
import { findingsOf, noBrowser, seenAs } from './browser.ts'
import { atADesk } from './desk.ts'

const tool = (id: string, more: object = {}) => ({
  actions: ['tools/call'],
  resource: { type: 'tool', id: `invoices/${id}` },
  ...more,
})
const pay = tool('adjust', {
  where: { '/amount': { max: '500' }, '/currency': { eq: 'EUR' } },
  cost: { amount: '/amount', currency: '/currency' },
  max_uses: 10,
})
const inWords = 'Call invoices/adjust up to 10 times, at most 500 EUR each, and any other arguments'
const looks = [
  ['light', 1280],
  ['dark', 1280],
  ['light', 390],
  ['dark', 390],
] as const

describe.skipIf(noBrowser)('knowing what one signs, in Chromium', () => {
  const desk = atADesk({ viewport: { width: 1280, height: 900 } })

  const ask = async (task: string, permissions: object[], more: object = {}) => {
    const agent = sampleAgent(desk.system.host, 'reconciler')
    const authority = { ...sampleAuthority, task, permissions, ...more }
    const { requestId } = await agent.request({
      authority: authority as unknown as typeof sampleAuthority,
      mode: 'window',
      expiresInSeconds: 3600,
    })
    return requestId
  }
  const card = (title: string) =>
    desk.olivia.page.locator('.card', { has: desk.olivia.page.getByRole('heading', { name: title, exact: true }) })

  it('says in plain words what is asked, with the exact form one click away, and both where it is signed (V3)', async () => {
    const { page } = desk.olivia
    const odd = tool('read', { where: { '/name': { eq: 'p\u0430y' } } }) // with a Cyrillic letter
    const requestId = await ask('in-words', [pay, odd])
    const exact = /May do tools\/call on tool invoices\/adjust; only where \/amount is at most 500/
    for (const look of looks) {
      await seenAs(desk.olivia, look)
      await desk.goTo(`requests/${requestId}`)
      const asked = card('What it asks to do')
      await asked.getByText(inWords, { exact: true }).waitFor()
      // Letters that can be taken for others have no plain words: the exact form spells them out.
      const spelled = asked.locator('.permissions li').nth(1)
      await spelled.getByText('(spelled "p\\u0430y")').waitFor()
      await spelled.getByText('This has no plain words: it is the exact form.').waitFor()
      expect(await asked.getByText(exact).isVisible()).toBe(false)
      await asked.getByText('Exact form', { exact: true }).click()
      await asked.getByText(exact).waitFor()
      await asked.getByText('"max_uses": 10').waitFor()
      await card('Which rule holds').getByText('tasks').first().waitFor()
      await card('This agent’s last 24 hours').getByText('Spent', { exact: true }).waitFor()
      expect(await findingsOf(desk.olivia)).toEqual([])
      await desk.olivia.press('Approve as asked…')
      const dialog = page.getByRole('dialog')
      const signed = dialog.getByRole('list', { name: 'What you approve' }).getByRole('listitem')
      await signed.nth(1).getByText(inWords, { exact: true }).waitFor()
      await signed.nth(1).getByText(exact).waitFor()
      await dialog.getByText('The statement, as it is signed').click()
      const statement = JSON.parse((await dialog.locator('.exact-form pre').textContent()) ?? '')
      expect(statement.authority.permissions).toMatchObject([pay, odd])
      expect(await findingsOf(desk.olivia)).toEqual([])
      await desk.olivia.press('Back')
    }
    await seenAs(desk.olivia, looks[0])
    await desk.grant(requestId)
  })

  it('compares with what people last approved, not with what was last asked, and offers to approve just that', async () => {
    const { page } = desk.olivia
    const less = tool('adjust', { ...pay, max_uses: 4 })
    const first = await ask('compared', [less, tool('read')], { budget: { calls: 20, cost: { EUR: '100' } } })
    await desk.grant(first)
    // Denied in between: it is what was last asked, and not what was last approved.
    const second = await ask('compared', [tool('delete')], { budget: { calls: 1 } })
    await desk.goTo(`requests/${second}`)
    await desk.olivia.press('Deny…')
    await desk.olivia.press('Deny it')
    await page.getByText('Denied.', { exact: true }).waitFor()
    const third = await ask('compared', [pay, tool('read'), tool('delete')], {
      budget: { calls: 40, cost: { EUR: '300' } },
    })
    for (const look of looks) {
      await seenAs(desk.olivia, look)
      await desk.goTo(`requests/${third}`)
      const last = card('Last approved')
      await last.getByText('It asks more than was approved then.').waitFor()
      await last.locator('li.added', { hasText: 'invoices/delete' }).waitFor()
      await last.locator('li.removed', { hasText: 'At most 20 calls in all' }).waitFor()
      await last.locator('li.removed', { hasText: 'Call invoices/adjust up to 4 times' }).waitFor()
      await last.locator('li.added', { hasText: inWords }).waitFor()
      await page.getByText('Asks more than was last approved for this task.').waitFor()
      await last.getByText('By owner,').waitFor()
      await card('Earlier for this task').getByText('Denied').waitFor()
      await desk.olivia.press('Approve narrower…')
      await desk.olivia.press('As last time')
      expect(await page.getByLabel('Calls, at most').inputValue()).toBe('20')
      expect(await page.getByLabel('Uses, at most').first().inputValue()).toBe('4')
      expect(await page.getByLabel('tools/call on invoices/delete').count()).toBe(0)
      expect(await findingsOf(desk.olivia)).toEqual([])
      await desk.olivia.press('Half of each bound')
      expect(await page.getByLabel('Calls, at most').inputValue()).toBe('20')
      expect(await page.getByLabel('EUR, at most').last().inputValue()).toBe('150')
      expect(await page.getByLabel('Uses, at most').first().inputValue()).toBe('5')
      expect(await page.getByLabel('/amount, at most').inputValue()).toBe('250')
      await desk.olivia.press('As asked')
      expect(await page.getByLabel('Calls, at most').inputValue()).toBe('40')
      await desk.olivia.press('Back to the request')
    }
    await seenAs(desk.olivia, looks[0])
    await desk.goTo(`requests/${third}`)
    await desk.olivia.press('Approve narrower…')
    await desk.olivia.press('As last time')
    await desk.olivia.press('Review and sign…')
    const dialog = page.getByRole('dialog')
    await dialog.getByText('At most 20 calls in all').waitFor()
    const instead = dialog.getByRole('region', { name: 'Narrower than asked' })
    await instead.getByText('May do tools/call on tool invoices/delete').waitFor()
    await desk.olivia.press('Sign with passkey')
    await page.getByText('Approved.', { exact: true }).waitFor()
    const { requests } = (await desk.ledger()).requests
    expect(requests.get(third)?.approved?.statement).toMatchObject({
      authority: { permissions: [less, tool('read')], budget: { calls: 20, cost: { EUR: '100' } } },
    })
  })

  it('says for another task that the same tools were approved, and warns of nothing', async () => {
    const requestId = await ask('another-name', [pay], { budget: { calls: 99 } })
    await desk.goTo(`requests/${requestId}`)
    await card('Last approved')
      .getByText('for the task in-words')
      .or(card('Last approved').getByText('Nothing was approved lately'))
      .waitFor()
    await desk.olivia.press('Deny…')
    await desk.olivia.press('Deny it')
    await desk.olivia.page.getByText('Denied.', { exact: true }).waitFor()
  })
})
