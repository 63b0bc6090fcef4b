import { createAgent, denialOf } from '@bailiwick/agent'
import { sampleAuthority } from '@bailiwick/standalone/sample'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import { describe, expect, it, vi } from 'vitest'
import { asking, fresh, tool } from '../e2e/asking.ts'
import { passedOn, type SubAgent, SubAgents } from '../e2e/sub-agents.ts'
import { findingsOf, looks, noBrowser, patienceMs, seenAs } from './browser.ts'
import { atADesk } from './desk.ts'

const subAgents = new SubAgents(2)
const reading = { ...sampleAuthority, permissions: [sampleAuthority.permissions[0]], budget: { calls: 30 } }

describe.skipIf(noBrowser)('requests other than a plain window, in Chromium', () => {
  const desk = atADesk({ ...asking, entities: (sample) => subAgents.entities(asking.entities(sample)) })

  it('shows the freshness conditions in words, before and during signing, and signs exactly those (V3)', async () => {
    const agent = sampleAgent(desk.system.host, 'forecaster')
    const { requestId } = await agent.request({ authority: reading, mode: 'continuous', expiresInSeconds: 3600 })
    const { page } = desk.olivia
    await desk.goTo(`requests/${requestId}`)
    const words =
      'Stays open only while the workload proves its identity again at least every 10 min, and each outcome is reported within 1 min.'
    await page.locator('article.request').getByText(words).waitFor()
    await desk.olivia.press('Approve narrower…')
    await page.getByLabel('Seconds until an outcome').fill('30')
    await desk.olivia.press('Review and sign…')
    const dialog = page.getByRole('dialog')
    await dialog.getByText('and each outcome is reported within 30 s').waitFor()
    await dialog.getByRole('region', { name: 'Narrower than asked' }).getByText(words).waitFor()
    await desk.olivia.press('Sign with passkey')
    await page.getByText('Approved.', { exact: true }).waitFor()
    const { requests } = desk.system.services.policyDecision.pdp.projection.ledger.requests
    const continuous = { ...fresh, outcome_seconds: 30 }
    await expect.poll(() => requests.get(requestId)?.approved?.statement).toMatchObject({ continuous })
    await page.goto(`${desk.system.url}/console/rules`)
    await page.locator('.card', { hasText: 'tasks' }).getByText(words).waitFor()
  })

  it('shows the parts of a split task as one task, each answered separately', async () => {
    const agent = sampleAgent(desk.system.host, 'forecaster')
    const [read, adjust] = sampleAuthority.permissions
    const remove = { actions: ['tools/call'], resource: tool('delete'), max_uses: 2 }
    const authority = { ...sampleAuthority, task: 'tidy up', permissions: [read, adjust, remove] }
    const { requestId } = await agent.request({ authority, mode: 'window', expiresInSeconds: 3600 })
    const { page } = desk.olivia
    await page.goto(`${desk.system.url}/console/inbox`)
    const line = (part: string) => page.locator('article.line', { hasText: '"tidy up"' }).filter({ hasText: part })
    await line('Part 2 of 2').waitFor()
    await line('Part 1 of 2').getByRole('link').click()
    const whole = page.locator('.parts')
    await whole.getByRole('heading', { name: 'One task in 2 parts' }).waitFor()
    // The other parts of the request are shown next to it, and are not what this signature covers.
    await whole.locator('.table > li', { hasText: 'invoices/delete' }).waitFor()
    await desk.olivia.press('Approve as asked…')
    const dialog = page.getByRole('dialog')
    await dialog.getByText('May do tools/call on tool invoices/read').waitFor()
    expect(await dialog.getByText('invoices/delete').count()).toBe(0)
    await desk.olivia.press('Sign with passkey')
    await page.getByText('Approved.', { exact: true }).waitFor()
    expect((await agent.status(requestId)).status).toBe('pending')

    // The next request of the inbox follows an answer: here it is the other part.
    await page.locator('.request-head').getByText('Part 2 of 2').waitFor()
    await whole.locator('.table > li', { hasText: 'invoices/adjust' }).getByText('Approved').waitFor()
    await desk.olivia.press('Deny…')
    await desk.olivia.press('Deny it')
    await page.getByText('Denied.', { exact: true }).waitFor()
    await expect.poll(async () => (await agent.status(requestId)).status).toBe('partial')
    // The approved part can be done, and nothing else of the request.
    const { items = [] } = await agent.status(requestId)
    expect(items.map(({ resource: { id }, status }) => [id, status])).toEqual([
      [tool('read').id, 'approved'],
      [tool('adjust').id, 'approved'],
      [tool('delete').id, 'denied'],
    ])
    const grant = { grantId: items[0]?.grantId ?? '' }
    const act = async (name: string) => {
      const call = { grant, action: 'tools/call', resource: tool(name), properties: { invoice: 'INV-9' } }
      return (await agent.fetch(`${desk.invoices.url}/${name}`, { method: 'POST' }, call)).status
    }
    await expect.poll(() => act('read')).toBe(200) // a delayed machine denies calls that it would allow
    expect(await act('delete')).toBe(403)
  })

  it('a waiting action continues after a person’s approval, once, under the same grant (V10)', async () => {
    const agent = sampleAgent(desk.system.host, 'reconciler')
    const { page } = desk.olivia
    const task = await agent.request({ authority: sampleAuthority, mode: 'window', expiresInSeconds: 3600 })
    await desk.grant(task.requestId)
    const { grantId = '' } = await agent.waitForDecision(task.requestId)

    const properties = { invoice: 'INV-3', amount: '120.00', currency: 'EUR' }
    const action = { action: 'tools/call', resource: tool('adjust') }
    const adjust = () =>
      agent.fetch(`${desk.invoices.url}/adjust`, { method: 'POST' }, { grant: { grantId }, ...action, properties })
    const waiting = async () => {
      const denial = await denialOf(await adjust(), action)
      expect(denial?.reason).toBe('step_up_required') // a delayed machine gives another denial at first
      return denial
    }
    const answering = await vi.waitFor(waiting, patienceMs)
    if (answering === undefined) throw new Error('the action did not wait for anybody')
    const asked = await agent.request({
      authority: sampleAuthority,
      mode: 'per_action',
      expiresInSeconds: 600,
      action: { name: action.action, resource: action.resource, properties },
      grantId,
      answering,
    })

    await page.locator('article.line', { hasText: 'Step-up' }).waitFor() // nothing was pressed
    await page.getByText('The task waits for a person’s word').waitFor()
    await page.getByRole('link', { name: `tools/call on tool ${action.resource.id}` }).click()
    await page.getByText('It waits because a policy requires a person’s approval.').waitFor()
    await page.getByRole('heading', { name: 'The grant it belongs to' }).waitFor()
    const dialog = page.getByRole('dialog')
    const does = dialog.getByRole('region', { name: 'What your approval does' })
    // The dialog shows the effect that the statement states, and signs no effect that it cannot explain.
    const lies: [effect: object, words: RegExp | undefined][] = [
      [
        { kind: 'task', until: '2026-12-01T10:00:00.000Z' },
        /This action may happen, once\. And the task continues until/,
      ],
      [{ kind: 'everything' }, undefined],
    ]
    for (const [effect, words] of lies) {
      await page.route('**/statement', async (route) => {
        const answer = await route.fetch()
        const body = await answer.json()
        await route.fulfill({ response: answer, json: { ...body, statement: { ...body.statement, effect } } })
      })
      await desk.olivia.press('Approve as asked…')
      await dialog.getByText(grantId, { exact: true }).waitFor()
      if (words !== undefined) await does.getByText(words).waitFor()
      if (words !== undefined) expect(await findingsOf(desk.olivia)).toEqual([])
      if (words === undefined) await desk.olivia.press('Sign with passkey')
      if (words === undefined) await dialog.getByText('it was not signed').waitFor()
      await desk.olivia.press('Back')
      await dialog.waitFor({ state: 'hidden' })
      await page.unroute('**/statement')
    }
    // By its key, a request of high risk waits for Enter before it asks for the passkey.
    const pressed = async () => {
      if (!(await dialog.isVisible())) await page.keyboard.press('a')
      return dialog.isVisible()
    }
    await expect.poll(pressed).toBe(true) // the page takes no keys until the last dialog is gone
    await does.getByText('Your approval lets this one action happen, once.').waitFor()
    await page.getByRole('dialog').getByText('"120.00"').waitFor()
    await page.getByRole('dialog').getByText(grantId, { exact: true }).waitFor()
    const focused = () => page.evaluate('document.activeElement?.textContent')
    await expect.poll(focused).toBe('Sign with passkey')
    expect(desk.olivia.sent.filter((each) => each.includes(`${asked.requestId}/approve`))).toEqual([])
    await page.keyboard.press('Enter')
    await page.getByText('Approved.', { exact: true }).waitFor()

    expect(await agent.waitForDecision(asked.requestId)).toMatchObject({ status: 'approved', grantId })
    // Once the decision point has read it, too.
    await expect.poll(async () => (await adjust()).status).toBe(200)
    expect(desk.invoices.ledger.effects.adjust).toBe(1)
    await vi.waitFor(waiting, patienceMs)
    expect(desk.invoices.ledger.effects.adjust).toBe(1)
    await page.goto(`${desk.system.url}/console/grants`)
    await page
      .locator(`article[data-grant="${grantId}"]`)
      .getByText(/^120\.00 of 2,000\.00$/)
      .waitFor()
  })

  const sdk = ({ id, key }: SubAgent) => {
    const { trust, clock, random } = desk.system.host
    const at = id.lastIndexOf('/')
    const [agentId, instance] = [id.slice(0, at), id.slice(at + 1)]
    const { installation, public_url: baseUrl } = trust
    return createAgent({ agentId, instance, key, installation, baseUrl, now: () => clock.now(), random })
  }

  it('shows a task’s delegations as a tree, and ends one branch of it and no more (V7)', async () => {
    const agent = sampleAgent(desk.system.host, 'reconciler')
    const { page } = desk.olivia
    const authority = { ...passedOn, task: 'passed on' }
    const { requestId } = await agent.request({ authority, mode: 'window', expiresInSeconds: 3600 })
    await desk.grant(requestId)
    const { grantId = '' } = await agent.waitForDecision(requestId)
    const [first, second] = [subAgents.at(0), subAgents.at(1)]
    const expiresAt = desk.system.host.clock.now() + 600_000
    const pass = async (from: typeof agent, of: { grantId: string } | { delegation: string }, to: SubAgent) => {
      const narrower = {
        ...authority,
        permissions: [authority.permissions[0]],
        budget: { calls: 5, cost: { EUR: '10.00' } },
        max_depth: 1,
      }
      const key = to.key.kid
      return from.delegate({ of, to: to.id, key, authority: narrower, expiresAt })
    }
    const [helper, below] = [sdk(first), sdk(second)]
    const { id, delegation } = await pass(agent, { grantId }, first)
    await helper.credential({ delegation })
    const last = await pass(helper, { delegation }, second)
    const read = async (who: typeof agent, grant: { grantId: string } | { delegation: string }) => {
      const properties = { invoice: 'INV-4' }
      const call = { grant, action: 'tools/call', resource: tool('read'), properties }
      return (await who.fetch(`${desk.invoices.url}/read`, { method: 'POST' }, call)).status
    }
    await expect.poll(() => read(below, last)).toBe(200)

    await page.goto(`${desk.system.url}/console/grants`)
    const grant = page.locator(`article[data-grant="${grantId}"]`)
    const branch = grant.locator(`[data-delegation="${id}"]`)
    const leaf = branch.locator('.tree').locator(`[data-delegation="${last.id}"]`)
    // The last sub-agent's use counts against every agent above it.
    for (const each of [branch.locator('.link').first(), leaf])
      await each.getByText('1 of 5', { exact: true }).waitFor()
    await grant.getByText('1 of 200', { exact: true }).waitFor()
    await branch.getByRole('button', { name: 'Withdraw what was passed on to helper-0' }).click()
    await desk.olivia.press('Withdraw it now')
    await page.getByText(/^Stopped: revocation \d+ is recorded\.$/).waitFor()
    for (const each of [branch.locator('.link').first(), leaf]) await each.getByText('Revoked').waitFor()
    expect(await branch.getByRole('button', { name: /^Withdraw/ }).count()).toBe(0)
    expect(await read(below, last)).not.toBe(200)
    await expect.poll(() => read(agent, { grantId })).toBe(200)
    for (const look of looks.slice(1, 3)) {
      await seenAs(desk.olivia, look)
      expect(await findingsOf(desk.olivia)).toEqual([])
    }
  })
})
