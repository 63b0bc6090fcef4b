import { describe, expect, it } from 'vitest'
import { noBrowser, patienceMs, seriousFindings } from './browser.ts'
import { atADesk } from './desk.ts'

describe.skipIf(noBrowser)('the console with a slow server or person, in Chromium', () => {
  const desk = atADesk()

  it('a dialog stays until the result of a sent signature is known, and then shows it (V3)', async () => {
    const requestId = await desk.ask('slow-server')
    const { page } = desk.olivia
    await desk.goTo(`requests/${requestId}`)
    const arrived = Promise.withResolvers<void>()
    const slow = Promise.withResolvers<void>()
    await page.route('**/approve', async (route) => {
      arrived.resolve()
      await slow.promise
      await route.continue()
    })
    await desk.olivia.press('Approve as asked…')
    await desk.olivia.press('Sign with passkey')
    await arrived.promise
    const dialog = page.getByRole('dialog')
    await dialog.getByRole('button', { name: 'Waiting for the server …' }).waitFor()
    expect(await dialog.getByRole('button', { name: 'Back' }).isDisabled()).toBe(true)
    await page.keyboard.press('Escape')
    expect(await dialog.isVisible()).toBe(true)
    // Chromium closes a dialog at the second Escape. The page cannot prevent that.
    await page.keyboard.press('Escape')
    slow.resolve()
    await page.getByText('Approved.', { exact: true }).waitFor()
    expect(await desk.stateOf(requestId)).toBe('approved')
    await page.unroute('**/approve')
  })

  it('offers to sign only once the statement is there (V3)', async () => {
    const requestId = await desk.ask('slow-statement')
    const { page } = desk.olivia
    await desk.goTo(`requests/${requestId}`)
    const arrived = Promise.withResolvers<void>()
    const slow = Promise.withResolvers<void>()
    await page.route('**/statement', async (route) => {
      arrived.resolve()
      await slow.promise
      await route.continue()
    })
    await desk.olivia.press('Approve as asked…')
    await arrived.promise
    const sign = page.getByRole('dialog').getByRole('button', { name: 'Sign with passkey' })
    expect(await sign.isDisabled()).toBe(true)
    slow.resolve()
    await sign.click() // waits until it is enabled
    await page.getByText('Approved.', { exact: true }).waitFor()
    expect(await desk.stateOf(requestId)).toBe('approved')
    await page.unroute('**/statement')
  })

  it('reports an unreadable answer, and asks again', async () => {
    const requestId = await desk.ask('cut-off')
    const { page } = desk.olivia
    const detail = `**/console/api/requests/${requestId}`
    let asked = 0
    await page.route(detail, (route) =>
      ++asked === 1 ? route.fulfill({ status: 200, body: '{"id":"req_' }) : route.continue(),
    )
    await page.goto(`${desk.system.url}/console/requests/${requestId}`)
    await page.locator(`article[data-request="${requestId}"]`).waitFor()
    expect(asked).toBeGreaterThan(1)
    await page.unroute(detail)
  })

  it('shows the error in place of a page that it cannot draw, never an empty page, and can reload it', async () => {
    const requestId = await desk.ask('odd-answer')
    const { page } = desk.olivia
    for (const [path, shell] of [
      [`requests/${requestId}`, true],
      ['me', false], // the frame of every page
    ] as const) {
      const odd = `**/console/api/${path}`
      await page.route(odd, (route) => route.fulfill({ json: { id: requestId, kind: 'access' } }))
      await page.goto(`${desk.system.url}/console/requests/${requestId}`)
      await page.getByRole('heading', { level: 1, name: 'This page failed' }).waitFor()
      expect(await page.getByRole('alert').textContent()).not.toBe('')
      expect(await page.getByRole('link', { name: 'Grants' }).isVisible()).toBe(shell)
      expect(await seriousFindings(desk.olivia)).toEqual([])
      await page.unroute(odd)
      await desk.olivia.press('Reload')
      await page.locator(`article[data-request="${requestId}"]`).waitFor()
    }
  })

  it('ends the ceremony with Escape while it waits for the person: nothing is signed or sent (V3)', async () => {
    const requestId = await desk.ask('slow-person')
    const { page, cdp, authenticatorId } = desk.olivia
    await desk.goTo(`requests/${requestId}`)
    const present = (enabled: boolean) =>
      cdp.send('WebAuthn.setAutomaticPresenceSimulation', { authenticatorId, enabled })
    await present(false)
    await desk.olivia.press('Approve as asked…')
    await desk.olivia.press('Sign with passkey')
    const dialog = page.getByRole('dialog')
    await dialog.getByRole('button', { name: 'Waiting for your passkey …' }).waitFor()
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'detached' })
    await present(true)
    expect(desk.olivia.sent.filter((each) => each.includes(`${requestId}/approve`))).toEqual([])
    expect(await desk.stateOf(requestId)).toBe('pending')
    // The same page can still be used to sign it.
    await desk.grant(requestId)
  })

  it('recovers after the server was away, with or without earlier data in the page', async () => {
    const { page } = desk.olivia
    const away = () => page.route('**/console/api/**', (route) => route.abort())
    const back = () => page.unroute('**/console/api/**')
    await away()
    await page.goto(`${desk.system.url}/console/grants`)
    await page.getByRole('heading', { name: 'Bailiwick does not answer' }).waitFor()
    await back()
    await page.getByRole('heading', { name: 'Grants' }).waitFor()

    await away()
    await page.getByText('What you see is old.').waitFor()
    expect(await page.getByRole('heading', { name: 'Grants' }).isVisible()).toBe(true)
    await back()
    await page.getByText('What you see is old.').waitFor({ state: 'detached', timeout: patienceMs })
  })

  it('shows the end of a request that only evidence still has, and reports an unknown one', async () => {
    const requestId = await desk.ask('long-ago')
    const { page } = desk.olivia
    await desk.goTo(`requests/${requestId}`)
    await desk.olivia.press('Deny…')
    await page.getByRole('dialog').getByLabel('Reason').fill('not this month')
    await desk.olivia.press('Deny it')
    await page.getByText('Denied.', { exact: true }).waitFor()
    await expect
      .poll(async () => (await page.request.get(`${desk.system.url}/console/api/evidence/trace/${requestId}`)).status())
      .toBe(200)
    // As approval answers once it has forgotten the request.
    const forgotten = `**/console/api/requests/${requestId}`
    await page.route(forgotten, (route) => route.fulfill({ status: 404, json: { title: 'Unknown' } }))
    await desk.goTo(`requests/${requestId}`)
    await page.getByRole('heading', { name: 'This request ended a while ago.' }).waitFor()
    await page.getByText('Request denied').waitFor()
    await page.getByRole('link', { name: 'Everything that evidence has about it' }).click()
    const denial = page.locator('.step', { hasText: 'Request denied' })
    await denial.getByText('by owner', { exact: true }).waitFor()
    await denial.getByText('not this month').waitFor()
    await page.unroute(forgotten)
    await desk.goTo(`requests/req_${'A'.repeat(43)}`)
    await page.getByRole('heading', { name: 'There is no such request.' }).waitFor()
  })
})
