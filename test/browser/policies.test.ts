import { readFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { sample, sampleAuthority } from '@bailiwick/standalone/sample'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { findingsOf, looks, noBrowser, patienceMs, seenAs } from './browser.ts'
import { atADesk } from './desk.ts'

/** On a phone, too. */
const allLooks = [...looks, ['light', 390] as const, ['dark', 390] as const]
const noAdjusting = `@id("no-adjusting")
forbid (principal, action == Action::"tools/call", resource == tool::"invoices/adjust");
`

describe.skipIf(noBrowser)('policies and rules in the page, in Chromium', () => {
  const desk = atADesk()
  let grantId = ''
  const press = (name: string) => desk.olivia.press(name)
  const agent = () => sampleAgent(desk.system.host, 'reconciler')
  beforeEach(() => desk.olivia.page.evaluate('sessionStorage.clear()'))
  beforeAll(async () => {
    const { requestId } = await agent().request({
      authority: { ...sampleAuthority, task: 'what is asked again' },
      mode: 'window',
      expiresInSeconds: 3600,
    })
    await desk.grant(requestId)
    ;({ grantId = '' } = await agent().waitForDecision(requestId))
    // A replay cannot judge calls within 10 s of a change of their agent: decision points may not have known the change yet.
    const { registry } = await desk.ledger()
    const settled = Math.max(...registry.records().map(({ changedAt }) => changedAt)) + 11_000
    await pause(Math.max(0, settled - Date.now()))
    for (let n = 1; n < 4; n++) await call('adjust', n, 200)
    await call('read', 1, 200)
    await desk.invoices.delivered()
  })

  async function call(name: string, n: number, status: number): Promise<void> {
    const ask = {
      grant: { grantId },
      action: 'tools/call',
      resource: { type: 'tool', id: `${sample.toolServer}/${name}` },
      properties: { invoice: `INV-${n}`, ...(name === 'adjust' ? { amount: '10.00', currency: 'EUR' } : {}) },
    }
    const does = async () => (await agent().fetch(`${desk.invoices.url}/${name}`, { method: 'POST' }, ask)).status
    await vi.waitFor(async () => expect(await does()).toBe(status), patienceMs)
  }

  /** Writes the new policy in a file of its own. */
  async function write(text: string): Promise<void> {
    const { page } = desk.olivia
    await desk.goTo('rules?show=policies')
    await page.getByLabel('Name of a new file').fill('no-adjusting.cedar')
    await press('Add')
    await page.getByLabel('Text of no-adjusting.cedar').last().fill(text)
  }

  it('colours the text, checks it on the server, and names the line that does not parse', async () => {
    const { page } = desk.olivia
    await write(`${noAdjusting}permit (`)
    const tools = page.locator('.policy-tools')
    await tools.getByText('No decision point would load this set.').waitFor()
    await page.locator('.code-line.marked').waitFor()
    await page.getByLabel('Text of no-adjusting.cedar').last().fill(noAdjusting)
    await tools.getByText('A decision point would load this set. 0 errors').waitFor()
    await page.locator('.code-effect', { hasText: 'forbid' }).first().waitFor()
    await expect.poll(() => page.locator('.code-line.marked').count()).toBe(0)
    // Only the server has Cedar.
    expect(desk.olivia.sent.filter((sent) => /wasm/.test(sent))).toEqual([])
    await page.getByLabel('Text of no-adjusting.cedar').last().fill(`${noAdjusting}// a\u202eb`)
    await page.getByText('Line 3 has a character that cannot be seen: U+202E.').waitFor()
  })

  it('says who decides a call and what would have to differ, and keeps the question as a test', async () => {
    const { page } = desk.olivia
    await write(noAdjusting)
    await press('Ask and explain')
    await page.getByLabel('On', { exact: true }).fill('tool invoices/adjust')
    await press('Ask')
    await page.getByText('Denied. It is forbidden by').waitFor()
    await page.locator('.explain').getByText('no-adjusting', { exact: true }).waitFor()
    await press('Keep it as a test')
    await page.getByText('1 test, 0 failed.').waitFor()
    await press('Ask and explain')
    await page.getByLabel('On', { exact: true }).fill('tool invoices/read')
    await press('Ask')
    await page.getByText('Allowed. It is permitted by').waitFor()
  })

  it('counts the recorded calls that it would deny, and proposes it with its text', async () => {
    const { page } = desk.olivia
    await write(noAdjusting)
    await press('Replay')
    await press('Replay the last 24 hours')
    await page.getByText('It denies 3 calls that were allowed, of 4 calls.').waitFor()
    await press('Review the change')
    await page.getByText('this adds the forbid "no-adjusting". Nothing more is allowed than before.').waitFor()
    await page.locator('.impact').getByText('It denies 3 calls that were allowed, of 4 calls.').waitFor()
    await page.locator('.impact').getByText('by no-adjusting').first().waitFor()
    if (process.env.SHOTS) await findingsOf(desk.olivia)
    await press('Propose this change')
    await page.locator('article.request').waitFor()
    await page.locator('.policy-text').getByText('@id("no-adjusting")').waitFor()
    await press('Approve as asked…')
    await press('Sign with passkey')
    await page.getByText('Approved.', { exact: true }).waitFor()
    await call('adjust', 9, 403)
    await desk.goTo('registry/policy-set/active')
    await page.getByText('Version 2: Changed').waitFor()
    await desk.goTo('rules?show=policies')
    await page.getByRole('button', { name: 'no-adjusting.cedar' }).waitFor()
  })

  it('finds the rule that would hold for an ask, now and with the change that is prepared', async () => {
    const { page } = desk.olivia
    const find = async () => {
      await desk.goTo('rules?show=finder')
      await page.getByLabel('on', { exact: true }).fill('tool invoices/adjust')
      await page.getByLabel('for at most').fill('900.00 EUR')
      await press('Find the rule')
      await page.getByRole('heading', { name: 'Now' }).waitFor()
    }
    await find()
    await page.getByRole('link', { name: 'tasks', exact: true }).waitFor()
    await desk.goTo('registry/rule')
    await page.getByLabel('Id', { exact: true }).fill('two-for-invoices')
    await page.getByLabel('Order').fill('1')
    await page.getByLabel('On', { exact: true }).fill('tool invoices/adjust')
    await page.getByLabel('Answered by the group').fill(sample.group)
    await page.getByLabel('People who must sign').fill('2')
    await press('Review the change')
    await page
      .locator('.impact')
      .getByText(/^Of the newest \d+ asks? that approval remembers, 1 would have gone/)
      .waitFor()
    await find()
    await page.getByRole('heading', { name: 'With the change that you prepare' }).waitFor()
    await page.getByText('2 different people').waitFor()
  })

  it('saves a proof of an action, and a report for auditors, as the commands make them', async () => {
    const { page } = desk.olivia
    const saved = async (button: string) => {
      const [download] = await Promise.all([page.waitForEvent('download'), press(button)])
      return { name: download.suggestedFilename(), text: await readFile(await download.path(), 'utf8') }
    }
    await desk.goTo(`evidence/${grantId}`)
    const proof = await saved('Save a proof')
    expect(proof.name).toBe(`bailiwick-proof-${grantId}.json`)
    expect(JSON.parse(proof.text)).toMatchObject({ kind: 'bailiwick-bundle', about: grantId })
    await desk.goTo('evidence')
    await press('Make a report…')
    const report = await saved('Make the report')
    expect(report.name).toMatch(/^bailiwick-report-.*\.html$/)
    expect(report.text).toContain(desk.system.host.trust.installation)
  })

  it('removes a person by a signed change, from the page of people', async () => {
    const { page } = desk.olivia
    await desk.goTo('people')
    await page.getByRole('link', { name: 'Your groups and history' }).click()
    await page.getByRole('heading', { name: 'Olivia Owner', level: 1 }).waitFor()
    await press('Remove this person…')
    await page.getByText('It cannot be proposed').waitFor()
  })

  it.each(allLooks)('axe finds nothing serious, %s, %i px wide, and nothing scrolls sideways', async (...look) => {
    const { olivia } = desk
    const { page } = olivia
    await seenAs(olivia, look)
    await desk.goTo('rules')
    const findings = await findingsOf(olivia)
    await desk.goTo('rules?show=policies')
    await page.getByText('A decision point would load this set.').waitFor()
    findings.push(...(await findingsOf(olivia)))
    await press('Ask and explain')
    await page.getByLabel('On', { exact: true }).fill('tool invoices/read')
    await press('Ask')
    await page.getByText('Allowed. It is permitted by').waitFor()
    findings.push(...(await findingsOf(olivia)))
    await press('Tests')
    findings.push(...(await findingsOf(olivia)))
    await desk.goTo('rules?show=finder')
    await page.getByLabel('on', { exact: true }).fill('tool invoices/adjust')
    await press('Find the rule')
    await page.getByRole('heading', { name: 'Now' }).waitFor()
    findings.push(...(await findingsOf(olivia)))
    await desk.goTo('people')
    findings.push(...(await findingsOf(olivia)))
    expect(findings).toEqual([])
  })
})
