import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Crew, isNamedOnThePage, price, told } from './crew.ts'
import { missingPrograms } from './programs.ts'

// examples/research-crew, by the commands of its README: six agents in two languages, one budget, one tree, one stop.
// test/browser/crew.test.ts shows the same crew in the console.

const missing = process.env.CI === 'true' ? [] : missingPrograms().filter((each) => each.startsWith('python3'))

describe.skipIf(missing.length > 0)('the research crew', () => {
  let crew: Crew
  beforeAll(async () => {
    crew = await Crew.setUp()
  })
  afterAll(() => crew?.[Symbol.dispose]())

  it('spends its budget and no cent more, as one tree, and a command stops all of it', async () => {
    await using dev = crew.run('dev')
    await expect.poll(() => dev.output).toContain('Bailiwick is ready')
    await using api = crew.run('library')
    await expect.poll(() => crew.served(), { message: api.output }).toBe(0)
    await using lead = crew.run('lead')
    await lead.ended
    const first = told(lead.output)
    expect(first.endings, lead.output).toEqual(Array(5).fill('budget_exhausted'))
    expect(first.spent).toBeCloseTo(Number(await crew.served()) * price)
    expect(first.spent).toBeLessThanOrEqual(5)
    // Under load a decision that came too late is paid and does not run, so fewer may run; but a race that all lose is none.
    expect(first.searches.filter((count) => count > 0).length).toBeGreaterThan(1)

    await using tracing = crew.run('trace', {}, { GRANT: first.grant })
    await tracing.ended
    const tree = tracing.output
    expect(tree.match(/delegation\.redeemed/g)).toHaveLength(5)
    expect(tree.match(/decision\.allowed/g)?.length).toBeLessThanOrEqual(5 / price)
    expect(tree).toMatch(/All \d+ steps verified/)

    await using again = crew.run('long')
    await expect.poll(async () => Number(await crew.served()) * price).toBeGreaterThan(first.spent + 1)
    await using stopping = crew.run('stop', {}, { GRANT: told(again.output).grant })
    await again.ended
    expect(stopping.output).not.toContain('bailiwick:')
    const stopped = told(again.output)
    expect(stopped.endings).toHaveLength(5)
    for (const ended of stopped.endings) expect(ended).toSatisfy(isNamedOnThePage)
    expect(stopped.spent).toBeLessThan(1000)
  })
})
