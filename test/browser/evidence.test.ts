import { createAgent } from '@bailiwick/agent'
import { actionDigest, makeDpopProof } from '@bailiwick/credentials'
import { sample, sampleKey } from '@bailiwick/standalone/sample'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import type { SystemOptions } from '@bailiwick/testkit'
import type { Locator } from 'playwright-core'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { passedOn, type SubAgent, SubAgents } from '../e2e/sub-agents.ts'
import { findingsOf, looks, noBrowser, patienceMs, seenAs } from './browser.ts'
import { atADesk } from './desk.ts'

type InitialEntity = Parameters<NonNullable<SystemOptions['entities']>>[0][number]

const subAgents = new SubAgents(1)
const hostile = '<img src=x onerror="document.title=1">\u202egnp.exe'

/** A rule for tools that the gateway does not know one by one. */
function forWhateverIsCalled(entity: InitialEntity): InitialEntity {
  if (entity.type !== 'enforcement-point') return entity
  const resources = [{ type: 'tool', id_prefix: `${sample.toolServer}/` }]
  return { ...entity, value: { ...entity.value, resources } }
}

let grantId = ''
let requestId = ''

describe.skipIf(noBrowser)('the evidence, in Chromium', () => {
  const desk = atADesk({ entities: (all) => subAgents.entities(all).map(forWhateverIsCalled) })
  beforeAll(act)

  /**
   * A task that is approved, delegated in part, used by both agents, denied, ended by an operator, and requested again
   * with hostile words.
   */
  async function act(): Promise<void> {
    const agent = sampleAgent(desk.system.host, 'reconciler')
    const helper = sdk(subAgents.at(0))
    ;({ requestId } = await agent.request({ authority: passedOn, mode: 'window', expiresInSeconds: 3600 }))
    await desk.grant(requestId)
    ;({ grantId = '' } = await agent.waitForDecision(requestId))
    const child = { ...passedOn, permissions: [passedOn.permissions[0]], budget: { calls: 2, cost: { EUR: '1.00' } } }
    const { delegation } = await agent.delegate({
      of: { grantId },
      to: subAgents.at(0).id,
      key: subAgents.at(0).key.kid,
      authority: { ...child, max_depth: 1 },
      expiresAt: desk.system.host.clock.now() + 600_000,
    })
    for (let n = 0; n < 3; n++) await call(agent, { grantId }, 'read', 200)
    await call(agent, { grantId }, 'delete', 403)
    for (const status of [200, 200, 403]) await call(helper, { delegation }, 'read', status)
    await desk.invoices.delivered()
    const { token } = await agent.credential({ grantId })
    const payload = { kind: 'grant', target: grantId, wait_ms: 20_000 }
    await desk.system.host.operator.inject({ method: 'POST', url: '/operator/revocations', payload })
    await askHostile(token)
  }

  /** An enforcement point passes on the name that an agent gives, unchanged. */
  async function askHostile(token: string): Promise<void> {
    const { services, host, invoicesUrl, data } = desk.system
    const { pdp, decide } = services.policyDecision
    const action = { name: 'tools/call', properties: {} }
    const resource = { type: 'tool', id: `${sample.toolServer}/${hostile}` }
    const digest = actionDigest({ ...action, resource })
    const [htm, htu] = ['POST', `${invoicesUrl}/read`]
    const proof = makeDpopProof(
      {
        ...{ htm, htu, jti: 'hostile-000000000001', now: host.clock.now(), accessToken: token },
        ...{ actionDigest: digest, nonce: pdp.proofs.nonce() },
      },
      sampleKey(data, 'reconciler'),
    )
    const point = pdp.projection.ledger.registry.get('enforcement-point', sample.enforcementPoint)
    if (point === undefined) throw new Error('the sample has no enforcement point')
    const observed = { credential: token, proof, htm, htu, action_digest: digest }
    const subject = { type: 'agent', id: sampleAgent(host, 'reconciler').id }
    const answer = await decide(point, { subject, action, resource, observed, digest, withApproval: false })
    expect(answer).toMatchObject({ decision: false, reason: 'grant_revoked' })
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
    status: number,
  ): Promise<void> => {
    const resource = { type: 'tool', id: `${sample.toolServer}/${name}` }
    const ask = { grant, action: 'tools/call', resource, properties: { invoice: 'INV-4' } }
    // A delayed machine denies calls that it would allow.
    const does = async () => (await who.fetch(`${desk.invoices.url}/${name}`, { method: 'POST' }, ask)).status
    await vi.waitFor(async () => expect(await does()).toBe(status), patienceMs)
  }

  const events = (): Locator => desk.olivia.page.locator('.event')
  /** Evidence records events a little later. */
  const settled = async (find: () => Promise<number>, wanted: number, path: string) => {
    await expect.poll(() => desk.goTo(path).then(find), { interval: 250 }).toBe(wanted)
  }

  it('finds denials by their reason, coloured, and links to the story of each', async () => {
    const { page } = desk.olivia
    await settled(() => events().count(), 1, 'evidence?type=decision.denied&reason=action_not_granted')
    const denial = page.locator('.event.bad')
    await denial.getByText('invoices/delete').waitFor()
    const color = await page.evaluate("getComputedStyle(document.querySelector('.event.bad')).borderLeftColor")
    expect(color).toBe('rgb(214, 69, 69)')
    await denial.getByRole('link', { name: 'Denied' }).click()
    await page.locator('.step.bad', { hasText: 'action_not_granted' }).waitFor()
    await page.locator('.step', { hasText: 'signed by owner' }).waitFor()
    await page.getByText(/^All \d+ steps verify/).waitFor()
  })

  it('searches with the keyboard alone, by agent, approver, task and time together', async () => {
    const { page } = desk.olivia
    await desk.goTo('evidence')
    await page.getByLabel('Task', { exact: true }).focus()
    await page.keyboard.type('reconcile-q3-invoices')
    await page.getByLabel('Approver').focus()
    await page.keyboard.type('owner')
    await page.getByLabel('What').focus()
    await page.keyboard.type('Outcomes')
    for (let n = 0; n < 12; n++) {
      await page.keyboard.press('Tab')
      if ((await page.evaluate("document.activeElement?.textContent ?? ''")) === 'Search') break
    }
    await page.keyboard.press('Enter')
    await expect.poll(() => events().count()).toBe(5)
    expect(page.url()).toContain('task=reconcile-q3-invoices&type=outcome')
    // The search is in the address, so the link shows the same page to another person.
    await page.reload()
    await expect.poll(() => events().count()).toBe(5)
    expect(await page.getByLabel('Approver').inputValue()).toBe('owner')
    await desk.olivia.press('Search')
    await page.getByLabel('To', { exact: true }).fill('2020-01-01T00:00')
    await desk.olivia.press('Search')
    await page.getByText('Nothing matches.').waitFor()
  })

  it('shows a task as a tree in time, with its delegations, their actions, and how it ended', async () => {
    const { page } = desk.olivia
    await settled(() => page.locator('.step', { hasText: /Revoked/ }).count(), 1, `evidence/${grantId}`)
    const acted = page.locator('.card', { hasText: 'Who acted' })
    await acted
      .locator('.tree .tree', { hasText: 'helper-0' })
      .getByText(/2 allowed, [1-9] denied/)
      .waitFor()
    await acted.getByText(/3 allowed, [1-9] denied/).waitFor()
    expect(await page.locator('.story .story .story .story .step', { hasText: 'Outcome' }).count()).toBe(5)
    await desk.olivia.press('Denials')
    await expect.poll(() => page.locator('.step', { hasText: 'Outcome' }).count()).toBe(0)
    await page.locator('.step.bad', { hasText: 'budget_exhausted' }).waitFor()
    await page.locator('.step.bad', { hasText: 'action_not_granted' }).waitFor()
  })

  it('calls counts totals only where every step is loaded', async () => {
    const { page } = desk.olivia
    const counts = page.locator('.card', { hasText: 'Who acted' }).locator('small').first()
    const story = '**/console/api/evidence/trace/**'
    await page.route(story, async (route) => {
      const response = await route.fetch()
      await route.fulfill({ response, json: { ...(await response.json()), next: '1' } })
    })
    await desk.goTo(`evidence/${grantId}`)
    await counts.getByText(/^so far 3 allowed, [1-9] denied: more steps are below$/).waitFor()
    await page.getByText(/steps shown so far verify/).waitFor()
    await page.unroute(story)
    await desk.goTo(`evidence/${grantId}`)
    await counts.getByText(/^3 allowed, [1-9] denied$/).waitFor()
    // Only denials are loaded then, so the number of allowed calls is unknown.
    await desk.olivia.press('Denials')
    await counts.getByText(/^[1-9] denied$/).waitFor()
  })

  it('shows no text of an event as markup, and lets none reorder the page', async () => {
    const { page } = desk.olivia
    await desk.goTo(`evidence/${grantId}`)
    const step = page.locator('.step', { hasText: 'grant_revoked' })
    await step.getByText('<img src=x onerror="document.title=1">').waitFor()
    await step.locator('.unseen', { hasText: 'U+202E' }).first().waitFor()
    await step.locator('summary').click()
    await step.locator('.event-data .unseen').first().waitFor() // the page learns a little later that it was opened
    expect(await page.locator('main img').count()).toBe(0)
    expect(await page.title()).not.toBe('1')
    expect(await page.locator('main').textContent()).not.toContain('\u202e')
  })

  it('verifies a receipt in the page with the log’s key, and finds one changed byte (V14)', async () => {
    const { page } = desk.olivia
    await desk.goTo(`evidence/${requestId}`)
    const step = page.locator('.step', { hasText: 'Granted' }).first()
    await step.locator('summary').click()
    const verify = step.getByRole('button', { name: 'Verify in this browser' })
    await verify.click()
    await step.getByText('Verified here.').waitFor()
    await step.getByText(/Entry [\d,]+ of [\d,]+ in the tree that the log signed/).waitFor()

    const changes: [name: string, change: (answer: Record<string, string>) => object, says: RegExp][] = [
      ['an entry', (a) => ({ ...a, entry: a.entry?.replace('"max_depth":3', '"max_depth":4') }), /not in the tree/],
      ['a receipt', (a) => ({ ...a, receipt: a.receipt?.replace(/^index \d+/m, 'index 0') }), /not in the tree/],
      [
        'a checkpoint',
        (a) => ({ ...a, receipt: a.receipt?.replace(/\n(\d+)\n(?=.*\n\n—)/, '\n99999\n') }),
        /did not sign/,
      ],
      ['a key', (a) => ({ ...a, vkey: a.vkey?.replace(/.$/, '') }), /cannot be read/],
      ['no receipt', (a) => ({ ...a, receipt: 'hello' }), /not a receipt/],
    ]
    for (const [name, change, says] of changes) {
      await page.route('**/evidence/events/evt_*', async (route) => {
        const answer = await route.fetch()
        await route.fulfill({ json: change(await answer.json()) })
      })
      await verify.click()
      await step.getByText('Not verified:').waitFor()
      await expect.poll(() => step.locator('.receipt').textContent(), { message: name }).toMatch(says)
      await page.unroute('**/evidence/events/evt_*')
    }
    // The genuine receipt of another event proves nothing about this one.
    const other = await page.locator('.step', { hasText: 'Asked' }).first().getAttribute('data-event')
    await page.route('**/evidence/events/evt_*', async (route) => {
      const url = route
        .request()
        .url()
        .replace(/evt_[^/]*$/, other ?? '')
      await route.fulfill({ response: await route.fetch({ url }) })
    })
    await verify.click()
    await step.getByText('it is the receipt of another entry').waitFor()
    await page.unroute('**/evidence/events/evt_*')
    await verify.click()
    await step.getByText('Verified here.').waitFor()
  })

  it('draws agents’ activity by the hour, and shows the same in a table', async () => {
    const { page } = desk.olivia
    await desk.goTo('evidence')
    await page.locator('.chart canvas').waitFor()
    const row = page.locator('table.activity tr', { hasText: 'agent/reconciler' })
    // A call may have fetched a nonce first.
    await expect.poll(() => row.locator('td').allTextContents()).toEqual(['3', expect.stringMatching(/^[1-9]$/)])
    const drawn = () =>
      page.evaluate(`(() => {
      const canvas = document.querySelector('.chart canvas')
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
      let [red, green] = [0, 0]
      for (let at = 0; at < data.length; at += 4) {
        if (data[at] === 214 && data[at + 1] === 69) red++
        if (data[at] === 47 && data[at + 1] === 158) green++
      }
      return red > 20 && green > 20
    })()`)
    await expect.poll(drawn).toBe(true)
    await row.getByRole('link').click()
    await expect.poll(() => page.locator('table.activity tbody tr').count()).toBe(1)
  })

  it.each(looks)('axe finds nothing serious, %s, %i px wide, and nothing scrolls sideways', async (...look) => {
    const { olivia } = desk
    await seenAs(olivia, look)
    const findings: string[] = []
    for (const path of ['evidence', `evidence/${grantId}`, 'evidence/nothing-of-this-name']) {
      await desk.goTo(path)
      if (path.endsWith(grantId)) {
        const step = olivia.page.locator('.step', { hasText: 'Granted' }).first()
        await step.locator('summary').click()
        await step.getByRole('button', { name: 'Verify in this browser' }).click()
        await step.getByText('Verified here.').waitFor()
      }
      findings.push(...(await findingsOf(olivia)))
    }
    expect(findings).toEqual([])
    expect(olivia.complaints.filter((text) => !/status of (401|404|503)/.test(text))).toEqual([])
  })
})
