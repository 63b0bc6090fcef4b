import { readFile } from 'node:fs/promises'
import { createAgent } from '@bailiwick/agent'
import { sample, sampleAgentId } from '@bailiwick/standalone/sample'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { passedOn, type SubAgent, SubAgents } from '../e2e/sub-agents.ts'
import { findingsOf, looks, noBrowser, type Person, patienceMs, seenAs } from './browser.ts'
import { atADesk } from './desk.ts'

const subAgents = new SubAgents(2)
const agentId = sampleAgentId('reconciler')
const page = `agents/${encodeURIComponent(agentId)}`

describe.skipIf(noBrowser)('the page of an agent, and an incident, in Chromium', () => {
  const desk = atADesk({ entities: (all) => subAgents.entities(all) })
  let grantId = ''
  beforeAll(act)

  /** A task that is approved, passed on twice, used by all three agents, and denied in part. */
  async function act(): Promise<void> {
    const agent = sampleAgent(desk.system.host, 'reconciler')
    const [helper, second] = [sdk(subAgents.at(0)), sdk(subAgents.at(1))]
    const { requestId } = await agent.request({ authority: passedOn, mode: 'window', expiresInSeconds: 3600 })
    await desk.grant(requestId)
    ;({ grantId = '' } = await agent.waitForDecision(requestId))
    const expiresAt = desk.system.host.clock.now() + 600_000
    const part = { ...passedOn, permissions: [passedOn.permissions[0]], budget: { calls: 5, cost: { EUR: '1.00' } } }
    const { delegation } = await agent.delegate({
      ...{ of: { grantId }, to: subAgents.at(0).id, key: subAgents.at(0).key.kid, expiresAt },
      authority: { ...part, max_depth: 2 },
    })
    const { delegation: further } = await helper.delegate({
      ...{ of: { delegation }, to: subAgents.at(1).id, key: subAgents.at(1).key.kid, expiresAt },
      authority: { ...part, budget: { calls: 2, cost: { EUR: '1.00' } }, max_depth: 1 },
    })
    for (let n = 1; n < 4; n++) await call(agent, { grantId }, 'read', { invoice: `INV-${n}` }, 200)
    for (let n = 1; n < 5; n++)
      await call(agent, { grantId }, 'adjust', { invoice: `INV-${n}`, amount: `${n}00.00`, currency: 'EUR' }, 200)
    await call(agent, { grantId }, 'delete', { invoice: 'INV-4' }, 403)
    await call(helper, { delegation }, 'read', { invoice: 'INV-7' }, 200)
    await call(second, { delegation: further }, 'read', { invoice: 'INV-8' }, 200)
    await desk.invoices.delivered()
  }

  function sdk({ id, key }: SubAgent) {
    const at = id.lastIndexOf('/')
    const { trust, clock, random } = desk.system.host
    const { installation, public_url: baseUrl } = trust
    const [agentId, instance] = [id.slice(0, at), id.slice(at + 1)]
    return createAgent({ agentId, instance, key, installation, baseUrl, now: () => clock.now(), random })
  }

  const call = async (
    who: ReturnType<typeof sdk>,
    grant: { grantId: string } | { delegation: string },
    name: string,
    properties: Record<string, string>,
    status: number,
  ): Promise<void> => {
    const resource = { type: 'tool', id: `${sample.toolServer}/${name}` }
    const ask = { grant, action: 'tools/call', resource, properties }
    const does = async () => (await who.fetch(`${desk.invoices.url}/${name}`, { method: 'POST' }, ask)).status
    // A delayed machine denies calls that it would allow.
    await vi.waitFor(async () => expect(await does()).toBe(status), patienceMs)
  }

  /** Counts what a person clicks. */
  async function clicksOf({ page }: Person) {
    let clicks = 0
    await page.exposeFunction('clicked', () => clicks++)
    await page.addInitScript(`addEventListener('click', ({ isTrusted }) => { if (isTrusted) clicked() }, true)`)
    return () => clicks
  }

  const rowOf = (name: string, person = desk.olivia) =>
    person.page.locator('table.touched tbody tr').filter({ has: person.page.getByText(name, { exact: true }) })

  it('shows what an agent did, line by line, what it spent, and through whom it acted', async () => {
    const { page: shown } = desk.olivia
    await desk.goTo(page)
    await shown.getByRole('heading', { name: 'Invoice reconciler', level: 1 }).waitFor()
    const figure = (name: string) => shown.locator('.figure', { hasText: name }).locator('dd')
    await expect.poll(() => figure('Calls allowed').textContent()).toBe('9')
    await expect.poll(() => figure('Spent').textContent()).toBe('1,000 EUR')
    await rowOf('invoices/adjust').getByText('4 succeeded').waitFor()
    await rowOf('invoices/read').getByText('through helper-0').waitFor()
    await rowOf('invoices/read').getByText('through helper-1').waitFor()
    await rowOf('invoices/delete').getByText('action not granted 1×').waitFor()
    const calls = shown.getByRole('list', { name: 'Calls, newest first' }).getByRole('listitem')
    await expect.poll(() => calls.filter({ hasText: 'Succeeded' }).count()).toBe(9)
    await calls.filter({ hasText: 'amount: 400.00' }).getByText('400 EUR').waitFor()
    await calls.filter({ hasText: 'by helper-1/i1' }).waitFor()
    await desk.olivia.press('Denied')
    await expect.poll(() => calls.filter({ hasText: 'Succeeded' }).count()).toBe(0)
    await calls.filter({ hasText: 'action not granted' }).first().waitFor()
    expect(shown.url()).toContain('calls=decision.denied')
    await calls.first().getByRole('link').click()
    await shown.getByText(/^All \d+ steps? verify/).waitFor()
  })

  it('draws the budget and who passed what on, each with the same numbers as a table', async () => {
    const { page: shown } = desk.olivia
    await desk.goTo(page)
    const budget = shown.locator('.card', { hasText: 'What is left of the budget' })
    await budget.getByText('1,000.00 of 2,000.00 EUR are left').waitFor()
    await budget.getByText('As a table').click()
    const left = budget.locator('tbody tr td:last-child')
    await expect.poll(() => left.allTextContents()).toContain('1,900.00')
    expect((await left.allTextContents()).toReversed()).toEqual([...['1,900.00', '1,700.00', '1,400.00', '1,000.00']])
    await desk.olivia.press('Calls')
    await budget.getByText('191 of 200 calls are left').waitFor()
    const graph = shown.locator('.card', { has: shown.getByRole('heading', { name: 'Passed on', exact: true }) })
    await graph.getByText('As a table').click()
    const rows = await graph.locator('tbody tr').allTextContents()
    expect(rows.map((row) => row.replace(/\s+/g, ' '))).toEqual([
      expect.stringMatching(/^Invoice reconciler.*approvers.*Active/),
      expect.stringMatching(/^helper-0.*Invoice reconciler.*Active/),
      expect.stringMatching(/^helper-1.*helper-0.*Active/),
    ])
    await expect.poll(() => graph.locator('svg g').count()).toBe(3)
  })

  it.each(looks)('axe finds nothing serious, %s, %i px wide, and nothing scrolls sideways', async (...look) => {
    const { olivia } = desk
    await seenAs(olivia, look)
    await desk.goTo(page)
    await rowOf('invoices/adjust').waitFor()
    await olivia.page.locator('.burn-down svg').waitFor()
    for (const summary of await olivia.page.getByText('As a table').all()) await summary.click()
    const findings = await findingsOf(olivia)
    await desk.goTo(`agents/${encodeURIComponent('spiffe://bailiwick.local/agent/of-no-such-name')}`)
    await olivia.page.getByText('It touched nothing, and nothing was denied.').waitFor()
    findings.push(...(await findingsOf(olivia)))
    expect(findings).toEqual([])
  })

  it('from the door to “stopped, and this is what it touched” in at most five clicks', async () => {
    const { olivia } = desk
    const { page: shown, context } = olivia
    await seenAs(olivia, ['light', 1280])
    await context.clearCookies()
    const clicks = await clicksOf(olivia)
    await shown.goto(`${desk.system.url}/console/`)
    await olivia.press('Sign in with passkey')
    await shown.getByRole('navigation').getByRole('link', { name: 'Agents' }).click()
    await shown.getByRole('link', { name: 'Invoice reconciler' }).click()
    await shown.getByRole('heading', { name: 'Invoice reconciler', level: 1 }).waitFor()
    await shown.locator('.agent-head').getByRole('button', { name: 'Stop this agent…' }).click()
    await olivia.press('Stop the agent now')
    const stopped = shown.getByRole('status').filter({ hasText: 'Stopped by' })
    await stopped.getByText(/Since then: no call was allowed, 0 denied/).waitFor()
    await shown.getByRole('heading', { name: 'This is what it touched' }).waitFor()
    await rowOf('invoices/adjust').getByText('4 succeeded').waitFor()
    expect(clicks()).toBeLessThanOrEqual(5)
    // The grant, and both delegations of it, are dead.
    const tree = (await desk.ledger()).grants.trees.get(grantId)
    expect(tree).toBeDefined()
    await shown.locator('.grant.revoked').first().waitFor()
    await shown.locator('.card', { hasText: 'Passed on' }).getByText('1 of 2 calls · revoked').waitFor()
    const late = sampleAgent(desk.system.host, 'reconciler').credential({ grantId })
    await expect(late).rejects.toMatchObject({ code: 'access_request_refused' })
    if (process.env.SHOTS) await findingsOf(olivia)
  })

  it('hands over what was touched: a link that opens the same view, a report, and the same as data', async () => {
    const { olivia } = desk
    const { page: shown, context } = olivia
    await desk.goTo(page)
    await rowOf('invoices/adjust').waitFor()
    await context.grantPermissions(['clipboard-read', 'clipboard-write'])
    await olivia.press('Copy link')
    await shown.getByText('Copied: the link opens this view').waitFor()
    const link = String(await shown.evaluate('navigator.clipboard.readText()'))
    const saved = async (button: string) => {
      const [download] = await Promise.all([shown.waitForEvent('download'), olivia.press(button)])
      return { name: download.suggestedFilename(), text: await readFile(await download.path(), 'utf8') }
    }
    const report = await saved('Save report')
    expect(report.name).toMatch(/^bailiwick-reconciler-\d{12}\.md$/)
    expect(report.text).toMatch(/^# What `Invoice reconciler` touched/)
    expect(report.text).toMatch(/\| Stopped \| 2\S+ by `owner` \(revocation 1\) \|/)
    expect(report.text).toMatch(
      /\| `tools\/call` on `tool invoices\/adjust` \| – \| 4 \| 4 succeeded \| 0 \| 1,000 EUR \|/,
    )
    expect(report.text).toMatch(/`helper-1`|agent\/helper-1/)
    const data = JSON.parse((await saved('Save as JSON')).text)
    expect(data).toMatchObject({ kind: 'bailiwick-agent-report', touched: { allowed: 9, cost: { EUR: '1000' } } })
    expect(data.calls.filter(({ outcome }: { outcome?: object }) => outcome).length).toBe(9)
    await shown.goto(link)
    await rowOf('invoices/adjust').getByText('4 succeeded').waitFor()
    await shown.getByText('the time of this link').waitFor()
    await shown.goto(
      link.replace(/to=[^&]*/, 'to=2026-01-02T00:00:00.000Z').replace(/from=[^&]*/, 'from=2026-01-01T00:00:00.000Z'),
    )
    await shown.getByText('It touched nothing, and nothing was denied.').waitFor()
    expect(olivia.complaints.filter((text) => !/status of (401|404|503)/.test(text))).toEqual([])
  })
})
