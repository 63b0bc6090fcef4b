import { sample, sampleAgentId } from '@bailiwick/standalone/sample'
import { beforeEach, describe, expect, it } from 'vitest'
import { findingsOf, looks, noBrowser, seenAs } from './browser.ts'
import { atADesk } from './desk.ts'

const agentId = sampleAgentId('reconciler')
const agentPage = `registry/agent/${encodeURIComponent(agentId)}`
/** On a phone, too. */
const allLooks = [...looks, ['light', 390] as const, ['dark', 390] as const]

describe.skipIf(noBrowser)('the workbench of the registry, in Chromium', () => {
  const desk = atADesk()
  // A draft that an earlier test did not propose must not be part of the next one.
  beforeEach(() => desk.olivia.page.evaluate('sessionStorage.clear()'))
  const press = (name: string) => desk.olivia.press(name)
  const entries = () => desk.olivia.page.locator('.entries > li')
  const history = () => desk.olivia.page.getByRole('list', { name: 'Versions, newest first' }).getByRole('listitem')

  /** Signs the change that was just proposed, whose page is open. */
  async function signIt(): Promise<void> {
    const { page } = desk.olivia
    await page.locator('article.request').waitFor()
    await press('Approve as asked…')
    await press('Sign with passkey')
    await page.getByText('Approved.', { exact: true }).waitFor()
  }

  it('finds an entry by any of its words and by its kind, and the address says so', async () => {
    const { page } = desk.olivia
    await desk.goTo('registry')
    await expect.poll(() => entries().count()).toBeGreaterThan(5)
    await page.getByRole('searchbox').fill('destructive')
    await expect.poll(() => entries().count()).toBe(1)
    await entries().first().getByText('3 tools at').waitFor()
    expect(page.url()).toContain('q=destructive')
    await page.getByRole('searchbox').fill('')
    await page.getByRole('button', { name: /^Rules/ }).click()
    await expect.poll(() => entries().count()).toBe(2)
    await page.reload()
    await expect.poll(() => entries().count()).toBe(2)
    await entries().getByRole('link', { name: 'tasks', exact: true }).click()
    await page.getByRole('heading', { name: 'tasks', level: 1 }).waitFor()
    await page.getByText('1 of owners').or(page.getByText('Answered by the group')).first().waitFor()
    await page.goBack()
    await expect.poll(() => entries().count()).toBe(2)
  })

  it('shows an entity with who signed it, edits it in place, and says in plain words what would change', async () => {
    const { page } = desk.olivia
    await desk.goTo(agentPage)
    await history().first().getByText('Signed by the root key').waitFor()
    await press('Edit')
    await page.getByLabel('Name', { exact: true }).fill('Invoice reconciler of the night')
    await page.getByLabel('Labels').fill('Sample')
    await page.getByText('“Sample” is not a label').first().waitFor()
    expect(await page.getByRole('button', { name: 'Review the change' }).isDisabled()).toBe(true)
    await page.getByLabel('Labels').fill('sample, nightly')
    await press('Review the change')
    await page.getByRole('heading', { name: 'Plan: 1 to change' }).waitFor()
    await page.getByText('its name was "Invoice reconciler"').waitFor()
    await page.getByText('One person', { exact: true }).waitFor()
    await press('Propose this change')
    await signIt()
    await desk.goTo(agentPage)
    await page.getByRole('heading', { name: 'Invoice reconciler of the night' }).waitFor()
    const newest = history().first()
    await newest.getByText('Version 2: Changed').waitFor()
    await newest.getByText('Olivia Owner (owner)').waitFor()
    await newest.getByText('proposed by owner').waitFor()
    await newest.getByText('What differs, member by member').click()
    await newest.getByText('/labels: ["sample","nightly"]').waitFor()
    await newest.getByRole('link', { name: 'In evidence' }).click()
    await page
      .getByText(/^(All \d+ steps? verify|The step verifies)/)
      .or(page.getByText('agent.changed'))
      .first()
      .waitFor()
  })

  it('registers, changes and retires in one change, which a reload keeps and a sign-out drops', async () => {
    const { page } = desk.olivia
    const id = `large-payments-${Date.now()}`
    await desk.goTo('registry')
    await page.getByLabel('Register something new').selectOption('rule')
    await page.getByLabel('Id', { exact: true }).fill(id)
    await page.getByLabel('Order').fill('20')
    await page.getByLabel('On', { exact: true }).fill('tool invoices/adjust')
    await page.getByLabel('That may cost more than').fill('500.00 EUR')
    await page.getByLabel('Answered by the group').fill('treasury')
    await page.getByLabel('People who must sign').fill('2')
    await press('Review the change')
    await page
      .getByText('2 people of "treasury" can approve requests on tool "invoices/adjust" above 500.00 EUR')
      .waitFor()
    await page.getByText(`nothing can be approved under the rule ${id}`).waitFor()
    await desk.goTo('registry/rule/tasks')
    await page.getByText('You changed one entry').waitFor()
    await press('Edit')
    await page.getByRole('button', { name: 'JSON' }).click()
    const whole = page.getByLabel('The whole entry')
    await whole.fill((await whole.inputValue()).replace('"order": 100', '"order": 110'))
    await press('Review the change')
    await page.getByRole('heading', { name: 'Plan: 1 to register, 1 to change' }).waitFor()
    await page.reload()
    await page.getByRole('heading', { name: 'Plan: 1 to register, 1 to change' }).waitFor()
    await page.getByRole('button', { name: 'Leave out tasks' }).click()
    await page.getByRole('heading', { name: 'Plan: 1 to register', exact: true }).waitFor()
    await press('Propose this change')
    await signIt()
    await expect.poll(async () => (await desk.ledger()).registry.get('rule', id)?.order).toBe(20)
    // So that other tests find the rule that they know.
    await desk.goTo(`registry/rule/${id}`)
    await press('Retire it…')
    await page.getByText(`the rule "${id}" is gone`).waitFor()
    await press('Propose this change')
    await signIt()
    await desk.goTo(`registry/rule/${id}`)
    await page.getByText('It is retired. This is what it was.').waitFor()
    await history().first().getByText('Version 2: Retired').waitFor()
    await desk.goTo('registry')
    await page.getByLabel('Retired ones, too').check()
    await entries().filter({ hasText: id }).getByText('Retired', { exact: true }).waitFor()
  })

  it('says that an entry changed meanwhile, and proposes nothing over it', async () => {
    const { page } = desk.olivia
    await desk.goTo(`registry/agent/${encodeURIComponent(sampleAgentId('forecaster'))}`)
    await press('Edit')
    await page.getByLabel('Name', { exact: true }).fill('Forecaster of mine')
    await press('Review the change')
    await page.getByRole('heading', { name: 'Plan: 1 to change' }).waitFor()
    const { registry } = await desk.ledger()
    const forecaster = registry.get('agent', sampleAgentId('forecaster'))
    const other = await desk.propose('agent', sampleAgentId('forecaster'), { ...forecaster, name: 'Of a colleague' })
    await desk.grant(other)
    await desk.goTo('registry/draft')
    await page.getByText('is version 2 by now; you began with version 1').waitFor()
    expect(await page.getByRole('button', { name: 'Propose this change' }).isDisabled()).toBe(true)
    // More edits of an old draft do not make it one of the newest version.
    await page
      .getByRole('link', { name: sampleAgentId('forecaster') })
      .first()
      .click()
    await press('Go on editing')
    await press('Review the change')
    await page.getByText('is version 2 by now; you began with version 1').waitFor()
    await press('Drop my change of it, and look at the newest')
    await page.getByRole('heading', { name: 'Of a colleague' }).waitFor()
    expect(desk.olivia.complaints.filter((text) => !/status of (401|404|409)/.test(text))).toEqual([])
  })

  it('puts nothing of a form that was open meanwhile on the newest version', async () => {
    const id = sampleAgentId('reconciler')
    const before = (await desk.ledger()).registry.record('agent', id)?.version ?? 0
    const tab = await desk.olivia.context.newPage()
    await tab.goto(`${desk.system.url}/console/${agentPage}`)
    await tab.getByRole('button', { name: 'Edit', exact: true }).click()
    await tab.getByLabel('Labels').fill('sample, mine')
    const known = (await desk.ledger()).registry.get('agent', id)
    await desk.grant(await desk.propose('agent', id, { ...known, name: 'Of a colleague too' }))
    await tab.getByRole('heading', { name: 'Of a colleague too' }).waitFor()
    await tab.getByRole('button', { name: 'Review the change' }).click()
    await tab.getByText(`is version ${before + 1} by now; you began with version ${before}`).waitFor()
    await tab.close()
  })

  it.each(allLooks)('axe finds nothing serious, %s, %i px wide, and nothing scrolls sideways', async (...look) => {
    const { olivia } = desk
    const { page } = olivia
    await seenAs(olivia, look)
    await desk.goTo('registry')
    await expect.poll(() => entries().count()).toBeGreaterThan(5)
    const findings = await findingsOf(olivia)
    for (const path of [agentPage, 'registry/rule/tasks', `registry/tool-server/${sample.toolServer}`]) {
      await desk.goTo(path)
      await history().first().waitFor()
      findings.push(...(await findingsOf(olivia)))
      await press('Edit')
      await page.getByRole('button', { name: 'Review the change' }).waitFor()
      findings.push(...(await findingsOf(olivia)))
    }
    await page.getByLabel('Address').fill('https://elsewhere.example/')
    await press('Review the change')
    await page.getByRole('heading', { name: 'Plan: 1 to change' }).waitFor()
    findings.push(...(await findingsOf(olivia)))
    await press('Drop it all')
    await page.getByText('You changed nothing.').waitFor()
    expect(findings).toEqual([])
  })
})
