import { sample, sampleAgentId } from '@bailiwick/standalone/sample'
import { beforeAll, describe, expect, it } from 'vitest'
import { findingsOf, noBrowser } from './browser.ts'
import { atADesk } from './desk.ts'

describe.skipIf(noBrowser)('the inbox while others use it too, in Chromium', () => {
  const desk = atADesk({ viewport: { width: 1280, height: 800 } })

  /** A change of the registry waits as a request of an agent does, and there may be many of them. */
  const propose = (name: string) => {
    const id = sampleAgentId(name)
    const more = { owner: sample.owner, attestor: { kind: 'join_token' }, labels: [], proactive_requests: false }
    return desk.propose('agent', id, { id, name, ...more })
  }
  /** In another window. */
  const post = async (path: string, data: object) => {
    const response = await desk.olivia.page.request.post(`${desk.system.url}/console/api${path}`, {
      data,
      headers: { origin: desk.system.url },
    })
    expect([path, response.status()]).toEqual([path, 200])
  }
  const denyElsewhere = (id: string) => post(`/requests/${id}/deny`, {})

  const inPane = () => desk.olivia.page.locator('.triage-pane article.request')
  const isShown = (id: string) =>
    desk.olivia.page.locator(`.triage-pane article.request[data-request="${id}"]`).waitFor()
  const gone = (id: string) =>
    desk.olivia.page.locator(`article.line[data-request="${id}"]`).waitFor({ state: 'detached' })
  const dialogs = () => desk.olivia.page.getByRole('dialog').count()

  it('holds every row after “3 new: show”, though it has more than one page', async () => {
    const { page } = desk.olivia
    const ids: string[] = []
    const proposeTo = async (count: number) => {
      while (ids.length < count) ids.push(await propose(`gap-${ids.length}`))
    }
    const listed = () => page.locator('.virtual li').first().getAttribute('aria-setsize')
    const scrollTo = (end: boolean) =>
      page.locator('.virtual').evaluate((box, end) => box.scrollTo(0, end ? box.scrollHeight : 0), end)
    await proposeTo(60)
    await desk.goTo('inbox?q=gap-')
    await page.locator('.virtual li').first().waitFor()
    const listedToTheEnd = async () => {
      await scrollTo(true)
      return listed()
    }
    await expect.poll(listedToTheEnd).toBe('60')
    for (const count of [63, 66]) {
      await proposeTo(count)
      await page.getByRole('button', { name: '3 new: show' }).click()
      await expect.poll(listed).toBe(String(count))
      const seen = new Set<string>()
      await scrollTo(false)
      await expect
        .poll(async () => {
          const drawn = await page
            .locator('article.line')
            .evaluateAll((lines) => lines.map((line) => line.getAttribute('data-request') ?? ''))
          for (const id of drawn) seen.add(id)
          await page.locator('.virtual').evaluate((box) => box.scrollBy(0, 300))
          return seen.size
        })
        .toBe(count)
      expect([...seen].toSorted()).toEqual(ids.toSorted())
    }
    for (const id of ids) await denyElsewhere(id)
    await page.getByText('Nothing matches.').waitFor()
  })

  it('keeps the request that is shown when a colleague answers it: no key counts for the next one', async () => {
    const { page } = desk.olivia
    const [first, second] = [await desk.ask('beside-1'), await desk.ask('beside-2')]
    await desk.goTo('inbox?q=beside-')
    await inPane().waitFor()
    const shown = (await inPane().getAttribute('data-request')) ?? ''
    const other = shown === first ? second : first
    await denyElsewhere(shown)
    await gone(shown)
    await inPane().getByRole('status').getByText('Denied by owner. It can no longer be answered.').waitFor()
    await isShown(shown)
    for (const key of ['a', 'd', 'n', 'x']) await page.keyboard.press(key)
    expect(await dialogs()).toBe(0)
    expect(await page.locator('.line input:checked').count()).toBe(0)
    await isShown(shown)
    expect(await findingsOf(desk.olivia)).toEqual([])
    await inPane().getByRole('button', { name: 'Next request' }).waitFor()
    await page.keyboard.press('j')
    await isShown(other)

    // A dialog stays with its request, too, and names it.
    await page.keyboard.press('d')
    const dialog = page.getByRole('dialog')
    await dialog.getByText(/Invoice reconciler asks: beside-\d/).waitFor()
    await dialog.getByText('Month end').waitFor()
    const third = await desk.ask('beside-3')
    await denyElsewhere(other)
    await dialog.getByRole('alert').getByText('there is nothing left to deny').waitFor()
    expect(await dialog.getByRole('button', { name: 'Deny it' }).isDisabled()).toBe(true)
    await desk.olivia.press('Back')
    await isShown(other)
    await page.locator(`article.line[data-request="${third}"]`).waitFor() // nothing else is in the list
    await page.keyboard.press('d')
    expect(await dialogs()).toBe(0)
    await page.keyboard.press('j')
    await isShown(third)
    await page.keyboard.press('d')
    await dialog.getByText('beside-3').waitFor()
    await page.keyboard.press('Enter')
    await inPane().waitFor({ state: 'detached' }) // answered by this person, who has nothing else to answer
    expect(await desk.stateOf(third)).toBe('denied')
  })

  it('asks for no passkey by a single key while there is a warning: it has an Enter of its own (V3)', async () => {
    const { page } = desk.olivia
    const id = await desk.ask('warned')
    await post('/stops', { kind: 'agent', target: sampleAgentId('reconciler') })
    await desk.goTo('inbox?q=warned')
    await inPane().getByText('This agent was stopped after it asked').waitFor()
    await page.keyboard.press('a')
    const dialog = page.getByRole('dialog')
    const warnings = dialog.getByRole('list', { name: 'Warnings' })
    await warnings.getByText('This agent was stopped after it asked, by owner: it would work again').waitFor()
    await dialog.getByText('Invoice reconciler asks: warned').waitFor()
    const sign = dialog.getByRole('button', { name: 'Sign with passkey' })
    await expect.poll(() => sign.evaluate((button) => button.matches(':focus'))).toBe(true)
    expect(await findingsOf(desk.olivia)).toEqual([])
    expect(await desk.stateOf(id)).toBe('pending')
    await page.keyboard.press('Enter')
    await page.getByText('Approved.', { exact: true }).waitFor()
    expect(await desk.stateOf(id)).toBe('approved')
  })

  describe('a filter in the address', () => {
    let ids: string[]
    beforeAll(async () => {
      ids = [await desk.ask('hidden-1', 'forecaster'), await propose('hidden-2'), await propose('found-1')]
    })

    it('says how much waits beyond it, also what came since, and shows that on request', async () => {
      const { page } = desk.olivia
      await desk.goTo(`inbox?q=found-&mode=window`)
      await page.getByText('Nothing matches.').waitFor()
      await page.getByText('Filtered: 3 more requests wait for you.').waitFor()
      await desk.goTo('inbox?q=found-')
      const note = page.getByText('Filtered: 2 more requests wait for you.')
      await note.waitFor()
      expect(await findingsOf(desk.olivia)).toEqual([])
      ids.push(await propose('hidden-3'))
      await page.getByText('Filtered: 3 more requests wait for you.').waitFor()
      await desk.olivia.press('Show all')
      await page.getByText('Filtered:').waitFor({ state: 'detached' })
      for (const id of ids) await page.locator(`article.line[data-request="${id}"]`).waitFor()
      expect(page.url()).not.toContain('q=')
      for (const id of ids) await denyElsewhere(id)
    })
  })
})
