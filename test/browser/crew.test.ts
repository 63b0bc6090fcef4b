import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { Crew, isNamedOnThePage, told } from '../consumers/crew.ts'
import { missingPrograms, type Program } from '../consumers/programs.ts'
import { findingsOf, looks, noBrowser, patienceMs, seenAs } from './browser.ts'
import { Desk } from './desk.ts'

// The programs of examples/research-crew under one task: one picture in the console, and one button that stops all six.

const lead = 'spiffe://bailiwick.local/agent/lead'
const scouts = ['scout-1', 'scout-2', 'scout-3', 'scout-4', 'scout-5']
const lacksPython = process.env.CI !== 'true' && missingPrograms().some((each) => each.startsWith('python3'))

describe.skipIf(noBrowser || lacksPython)('the research crew, in Chromium', () => {
  const desk = new Desk()
  let crew: Crew
  let library: Program
  let env: NodeJS.ProcessEnv

  beforeAll(async () => {
    crew = await Crew.setUp()
    const own = crew.entities()
    // Its rules in place of the sample's: they let it pass its task on.
    await desk.open({ entities: (all) => [...all.filter(({ type }) => type !== 'rule'), ...own] })
    const { url, data, trust } = desk.system
    env = {
      BAILIWICK_URL: url,
      BAILIWICK_INSTALLATION: trust.installation,
      BAILIWICK_TRUST: join(data, 'trust.json'),
    }
    // The names that `bailiwick dev` would have written.
    writeFileSync(crew.at('env'), '')
    library = crew.run('library', env)
    await vi.waitFor(async () => expect(await crew.served()).toBe(0), patienceMs)
  })
  afterAll(async () => {
    await library?.[Symbol.asyncDispose]()
    await desk[Symbol.asyncDispose]()
    crew?.[Symbol.dispose]()
  })

  /** The crew with enough for minutes, approved in the console, at work. */
  async function atWork(): Promise<Program> {
    const before = Number(await crew.served())
    await using started = new AsyncDisposableStack()
    const running = started.use(crew.run('long', env))
    await desk.goTo('inbox')
    const line = desk.olivia.page.locator('[data-request]', { hasText: 'survey-energy' })
    await desk.grant((await line.getAttribute('data-request')) ?? '')
    await expect.poll(() => crew.served(), { message: running.output }).toBeGreaterThan(before + 10)
    started.move()
    return running
  }

  /** Every program of the crew has ended, each scout with a reason that the page names. */
  async function hasStopped(running: Program): Promise<void> {
    await running.ended
    const { endings, spent } = told(running.output)
    expect(endings, running.output).toHaveLength(5)
    for (const ended of endings) expect(ended).toSatisfy(isNamedOnThePage)
    expect(spent).toBeLessThan(1000)
    const served = await crew.served()
    await new Promise((resolve) => setTimeout(resolve, 1000))
    expect(await crew.served()).toBe(served)
  }

  it('is one grant with five parts on the page of grants, and “Withdraw…” there stops all six', async () => {
    const { page, press } = desk.olivia
    await using running = await atWork()
    await desk.goTo('grants')
    const card = page.locator('.grant.active')
    await expect.poll(() => card.count()).toBe(1)
    const parts = card.locator('.link.active')
    await expect.poll(async () => (await parts.locator('strong').allTextContents()).toSorted()).toEqual(scouts)
    // Each takes of the one budget.
    for (const name of scouts)
      await expect
        .poll(() => parts.filter({ hasText: name }).locator('progress').first().getAttribute('value').then(Number))
        .toBeGreaterThan(0)
    await card.locator('.actions').getByRole('button', { name: 'Withdraw…' }).click()
    await press('Withdraw it now')
    await page.getByText(/^Withdrawn: revocation \d+ is recorded/).waitFor()
    await hasStopped(running)
    await expect.poll(() => card.count()).toBe(0)
  })

  it('is one picture on the page of its lead, and “Stop this agent…” there stops all six', async () => {
    const { page, press } = desk.olivia
    await using running = await atWork()
    await desk.goTo(`agents/${encodeURIComponent(lead)}`)
    const picture = page
      .locator('figure', { hasText: '5 agents have a part of it' })
      .filter({ has: page.locator('.active') })
    await expect.poll(() => picture.count()).toBe(1)
    const boxes = picture.locator('svg g')
    await expect.poll(() => boxes.locator('text:first-of-type').allTextContents()).toHaveLength(6)
    expect((await boxes.locator('text:first-of-type').allTextContents()).toSorted()).toEqual(['lead', ...scouts])
    // The same as a table: each scout has its part from the lead.
    await picture.getByText('As a table').click()
    const rows = picture.locator('tbody tr')
    await expect.poll(() => rows.filter({ hasText: /scout-\d\s*lead\s*Active/ }).count()).toBe(5)
    await page.locator('.agent-head').getByRole('button', { name: 'Stop this agent…' }).click()
    await press('Stop the agent now')
    await page.getByRole('status').filter({ hasText: 'Stopped by' }).waitFor()
    await hasStopped(running)
    await page.locator('figure svg g.revoked').first().waitFor()
    await expect.poll(() => page.locator('figure svg g.active').count()).toBe(0)
  })

  it.each(looks)(
    'its picture has no serious finding of axe, %s, %i px wide, and does not scroll sideways',
    async (...look) => {
      await seenAs(desk.olivia, look)
      await desk.goTo(`agents/${encodeURIComponent(lead)}`)
      await desk.olivia.page.locator('figure svg g').first().waitFor()
      expect(await findingsOf(desk.olivia)).toEqual([])
    },
  )
})
