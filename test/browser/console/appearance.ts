import { sample } from '@bailiwick/standalone/sample'
import { expect, it } from 'vitest'
import { aPerson, findingsOf, looks, seenAs } from '../browser.ts'
import type { Desk } from '../desk.ts'

/** How every page looks, and what it may load. Must run last, because it checks the complaints of all pages. */
export function appearance(desk: Desk): void {
  it.each(looks)(
    'axe finds nothing serious on any page, %s, %i px wide, and none scrolls sideways',
    async (...look) => {
      const { olivia } = desk
      const { page } = olivia
      await seenAs(olivia, look)
      const name = look.join('')
      const requestId = await desk.ask(`axe ${name}`)
      const id = `spiffe://bailiwick.local/agent/${name}`
      const attestor = { kind: 'join_token' }
      const agent = {
        id,
        name: 'An agent to come',
        owner: sample.owner,
        attestor,
        labels: [],
        proactive_requests: false,
      }
      const change = await desk.propose('agent', id, agent)
      const findings: string[] = []
      const see = async () => void findings.push(...(await findingsOf(olivia)))
      const places = ['inbox', 'grants', 'agents', 'registry', 'rules', 'people', 'requests/of-no-such-name']
      for (const place of [...places, `requests/${change}`, `requests/${requestId}`]) {
        await desk.goTo(place)
        await see()
      }
      if (look[0] === 'light' ? look[1] === 1280 : look[1] === 390) {
        await desk.goTo('inbox')
        await olivia.press('Keys ?')
        await see()
        await olivia.press('Done')
        await page.locator('.line input').last().check() // the change, of which the page was seen
        await page.locator('.ticked').getByRole('button', { name: 'Deny…' }).click()
        await see()
        await olivia.press('Deny it')
        await page.getByText('Denied one request.').waitFor()
        await desk.goTo(`requests/${requestId}`)
      }
      await olivia.press('Approve narrower…')
      await see()
      await olivia.press('Back to the request')
      await olivia.press('Approve as asked…')
      await page.getByRole('dialog').getByText('At most 200 calls in all').waitFor()
      await see()
      await olivia.press('Back')
      await olivia.press('Deny…')
      await see()
      await olivia.press('Deny it')
      await page.getByText('Denied.', { exact: true }).waitFor()
      await desk.goTo('people')
      await olivia.press('Invite a person…')
      await see()
      await olivia.press('Back')
      await using stranger = await aPerson(desk.browser)
      await seenAs(stranger, look)
      await desk.goTo('inbox', stranger)
      await stranger.page.getByRole('heading', { name: 'Sign in' }).waitFor()
      findings.push(...(await findingsOf(stranger)))
      expect(findings).toEqual([])
    },
  )

  it('asks once for each thing, keeps the search in the address, names each page, and says what is none', async () => {
    const { page, sent } = desk.olivia
    const task = `found again ${sent.length}` // another name, when the runner tries this test again
    await desk.ask(task)
    const link = page.getByRole('link', { name: task })
    await desk.goTo('inbox?show=all')
    await page.getByText('Live', { exact: true }).waitFor()
    await link.waitFor()
    // From here on no event of this request is on its way, and no open page asks for anything.
    await page.goto('about:blank')
    const before = sent.length
    await desk.goTo(`inbox?show=all&q=${task.replaceAll(' ', '+')}`)
    await link.waitFor()
    await page.getByText('Live', { exact: true }).waitFor()
    const asked = sent.slice(before).map((each) => new URL(each.split(' ')[0] ?? '').pathname)
    for (const path of ['hello', 'me', 'requests', 'events'])
      expect([path, asked.filter((each) => each === `/console/api/${path}`).length]).toEqual([path, 1])
    expect(await page.title()).toMatch(/^\(\d+\) Inbox · Bailiwick$/)
    await link.click()
    await page.locator('article.request').waitFor()
    expect(await page.title()).toContain(`Invoice reconciler: "${task}" · Bailiwick`)
    await page.goBack()
    await link.waitFor()
    expect(await page.getByRole('searchbox').inputValue()).toBe(task)
    await page.getByRole('searchbox').fill('found Olivia') // the owner’s name
    await expect.poll(() => page.url()).toContain('q=found+Olivia')
    await link.click()
    await page.getByRole('link', { name: '← Inbox' }).click()
    expect(await page.getByRole('searchbox').inputValue()).toBe('found Olivia')
    await page.goto(`${desk.system.url}/console/no/such/page`)
    await page.getByRole('heading', { name: 'There is no such page' }).waitFor()
    expect(await page.title()).toContain('No such page')
    const html = await (await fetch(`${desk.system.url}/console`)).text()
    const assets = [...html.matchAll(/(?:src|href)="(\/console\/assets\/[^"]+)"/g)].map(([, path]) => path)
    const sizes = await Promise.all(
      assets.map(async (path) => {
        const ask = (coding: string) =>
          page.request.get(`${desk.system.url}${path}`, { headers: { 'accept-encoding': coding } })
        expect((await ask('identity')).headers()).not.toHaveProperty('content-encoding')
        const { 'content-encoding': coding, 'content-length': length } = (await ask('br')).headers()
        expect([path, coding]).toEqual([path, 'br'])
        return Number(length)
      }),
    )
    expect(sizes.length).toBeGreaterThan(1)
    expect(sizes.reduce((total, size) => total + size, 0)).toBeLessThan(120 * 1024)
    await using stranger = await aPerson(desk.browser)
    await stranger.page.goto(`${desk.system.url.replace('localhost', '127.0.0.1')}/console/inbox`)
    await stranger.page.getByRole('alert').getByText('work at localhost, and this page is open at 127.0.0.1').waitFor()
  })

  it('no page can frame it, and only its own scripts and styles run', async () => {
    for (const path of ['/', '/console', '/console/inbox', '/console/requests/x', '/console/api/hello']) {
      const { headers } = await fetch(`${desk.system.url}${path}`)
      const policy = headers.get('content-security-policy') ?? ''
      expect(policy).toMatch(/default-src 'none'/)
      expect(policy).toMatch(/script-src 'self'(;|$)/)
      expect(policy).toMatch(/style-src 'self'(;|$)/)
      expect(policy).toMatch(/frame-ancestors 'none'/)
      expect(headers.get('x-frame-options')).toBe('DENY')
    }
    const html = await (await fetch(`${desk.system.url}/console`)).text()
    expect(html).not.toMatch(/<script(?![^>]* src="\/console\/)|<style|style=|\son\w+=/)
    const hosts = new Set(desk.olivia.sent.map((request) => new URL(request.split(' ')[0] ?? '').origin))
    hosts.delete('null') // the empty icon
    expect([...hosts]).toEqual([desk.system.url])
    expect(desk.olivia.complaints.filter((text) => !/status of (400|401|404|503)/.test(text))).toEqual([])
  })
}
