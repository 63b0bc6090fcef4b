import { sample } from '@bailiwick/standalone/sample'
import { expect, it, onTestFinished } from 'vitest'
import { findingsOf } from '../browser.ts'
import type { Desk } from '../desk.ts'

function aChange(n: number): [type: string, id: string, value: object] {
  const id = `spiffe://bailiwick.local/agent/triage-${n}`
  const more = { owner: sample.owner, attestor: { kind: 'join_token' }, labels: [], proactive_requests: false }
  return ['agent', id, { id, name: `Agent ${n}`, ...more }]
}

/** A morning’s inbox, with the keyboard. */
export function triage(desk: Desk): void {
  it('answers 31 requests with at most 62 keys and touches of the passkey (V3)', async () => {
    const { olivia } = desk
    const { page, cdp } = olivia
    await page.setViewportSize({ width: 1280, height: 800 })
    // An agent may have five requests waiting. Changes of the registry are answered as its requests are.
    const ids = await Promise.all(
      Array.from({ length: 31 }, (_, n) => (n % 7 === 0 ? desk.ask(`triage-${n}`) : desk.propose(...aChange(n)))),
    )
    let count = 0
    cdp.on('WebAuthn.credentialAsserted', () => count++)
    const press = (key: string) => {
      count++
      return page.keyboard.press(key)
    }
    await desk.goTo('inbox?q=triage-')
    const pane = page.locator('.triage-pane article.request')
    const answered: [string, 'approved' | 'denied'][] = []
    for (let n = 0; n < ids.length; n++) {
      await pane.getByRole('button', { name: 'Approve as asked…' }).waitFor()
      const id = (await pane.getAttribute('data-request')) ?? ''
      expect(answered.map(([each]) => each)).not.toContain(id)
      const approves = n % 3 === 0 || (await pane.getByText(/asks:/).count()) > 0
      if (approves) await press('a')
      else {
        await press('d')
        await page.getByRole('dialog').getByRole('button', { name: 'Deny it' }).waitFor()
        await press('Enter')
      }
      answered.push([id, approves ? 'approved' : 'denied'])
      // The next one follows by itself.
      if (n < ids.length - 1) await page.locator(`.triage-pane article.request:not([data-request="${id}"])`).waitFor()
    }
    await page.getByText('Nothing matches.').waitFor()
    expect(count).toBeLessThanOrEqual(62)
    expect(answered.map(([id]) => id).toSorted()).toEqual(ids.toSorted())
    const { requests } = (await desk.ledger()).requests
    expect(answered.map(([id]) => [id, requests.get(id)?.state])).toEqual(answered)
  }, 300_000)

  it('holds a thousand requests in one screen, asks again only for what is seen, and lets no arrival move a row', async () => {
    const { page, sent } = desk.olivia
    await desk.ask('one of many')
    const pageOf = 50
    let firstUntil: string | undefined
    onTestFinished(() => page.unroute('**/console/api/requests?*'))
    await page.route('**/console/api/requests?*', async (route) => {
      const url = new URL(route.request().url())
      const from = Number(url.searchParams.get('cursor')?.split('_')[1] ?? 0)
      const until = url.searchParams.get('until') ?? undefined
      if (firstUntil === undefined) firstUntil = until
      const isLater = until !== undefined && until === firstUntil
      url.searchParams.delete('cursor')
      url.searchParams.delete('through')
      const response = await route.fetch({ url: `${url}` })
      const answer = (await response.json()) as { items: { id: string; risk: object }[]; arrived: object }
      const [first] = answer.items
      const items = Array.from({ length: pageOf }, (_, n) => ({
        ...first,
        id: `req_${from + n}`,
        subject: `task-${from + n}`,
      }))
      const next = from + pageOf < 1000 ? { next: `0_${from + pageOf}_x` } : {}
      const arrived = isLater && from === 0 ? { count: 3, high: 1 } : { count: 0, high: 0 }
      await route.fulfill({ response, json: { ...answer, ...next, items, arrived } })
    })
    await page.setViewportSize({ width: 1100, height: 800 })
    await desk.goTo('inbox?q=one+of+many')
    await page.getByRole('link', { name: 'task-0', exact: true }).waitFor()
    const list = page.getByRole('list', { name: 'For you' })
    const lastSeen = async () => {
      await page.locator('.virtual').evaluate((box) => box.scrollTo(0, box.scrollHeight))
      return list.getByRole('link').last().textContent()
    }
    await expect.poll(lastSeen).toBe('task-999')
    expect(await page.locator('article.line').count()).toBeLessThan(60)
    expect(await page.evaluate('document.documentElement.scrollHeight - innerHeight')).toBeLessThanOrEqual(0)

    const before = sent.length
    await desk.ask('one of many, too')
    const arrivals = page.getByRole('button', { name: '3 new, 1 of high risk: show' })
    await arrivals.waitFor()
    const asked = sent.slice(before).filter((each) => each.includes('/console/api/requests?'))
    expect(asked.length).toBeLessThanOrEqual(4) // of twenty pages: the first and the last, for at most two changes
    await page.locator('.virtual').evaluate((box) => box.scrollTo(0, 0))
    await page.getByRole('link', { name: 'task-0', exact: true }).waitFor()
    expect(await findingsOf(desk.olivia)).toEqual([])
    await page.keyboard.press('r')
    await arrivals.waitFor({ state: 'detached' })
  })
}
