import { expect, it, onTestFinished } from 'vitest'
import type { Desk } from '../desk.ts'

/** Addresses: those that a person goes back to, and those that are none. */
export function addresses(desk: Desk): void {
  it('goes back to the row that was opened, beyond the first page of the inbox', async () => {
    const { page } = desk.olivia
    await desk.ask('far below')
    const pageOf = 50
    onTestFinished(() => page.unroute('**/console/api/requests?*'))
    await page.route('**/console/api/requests?*', async (route) => {
      const url = new URL(route.request().url())
      const from = Number(url.searchParams.get('cursor')?.split('_')[1] ?? 0)
      url.searchParams.delete('cursor')
      const response = await route.fetch({ url: `${url}` })
      const answer = (await response.json()) as { items: object[] }
      const items = Array.from({ length: pageOf }, (_, n) => ({
        ...answer.items[0],
        id: `req_${from + n}`,
        subject: `task-${from + n}`,
      }))
      const next = from + pageOf < 400 ? { next: `0_${from + pageOf}_x` } : {}
      await route.fulfill({ response, json: { ...answer, ...next, items, arrived: { count: 0, high: 0 } } })
    })
    await page.setViewportSize({ width: 1100, height: 800 })
    await desk.goTo('inbox?q=far+below')
    const row = page.getByRole('link', { name: 'task-170', exact: true })
    await page.getByRole('link', { name: 'task-0', exact: true }).waitFor()
    const scrolled = async () => {
      await page.locator('.virtual').evaluate((box) => box.scrollTo(0, 167 * 46))
      return row.count()
    }
    await expect.poll(scrolled).toBe(1)
    await row.click()
    await page.getByRole('link', { name: '← Inbox' }).waitFor()
    await page.goBack()
    await row.waitFor()
    const isSeen = () =>
      row.evaluate((link) => {
        const [box, own] = [link.closest('.virtual')?.getBoundingClientRect(), link.getBoundingClientRect()]
        return box !== undefined && own.top >= box.top && own.bottom <= box.bottom
      })
    await expect.poll(isSeen).toBe(true)
  })

  it('says to a person at any other address that there is no such page, and leads to the console', async () => {
    const { page } = desk.olivia
    for (const path of ['foo', 'foo/bar?x=1']) {
      const answer = await page.goto(`${desk.system.url}/${path}`)
      expect(answer?.status()).toBe(404)
      await page.getByRole('heading', { name: 'There is no such page' }).waitFor()
    }
    await page.getByRole('link', { name: 'Go to the console' }).click()
    await page.getByRole('heading', { name: 'Inbox', level: 1 }).waitFor()
  })
}
