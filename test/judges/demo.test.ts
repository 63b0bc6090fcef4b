import { startSystem } from '@bailiwick/testkit'
import { describe, expect, it } from 'vitest'
import { missingPrograms } from '../consumers/programs.ts'
import { tellMcp } from '../demo/mcp-story.ts'
import type { Say } from '../demo/story.ts'
import { tellSurfaces } from '../demo/surfaces-story.ts'
import { lacksJudges } from './programs.ts'

const lacksPython = process.env.CI !== 'true' && missingPrograms().some((each) => each.startsWith('python3'))

/** Runs steps, and keeps what each told, by its title. */
function listener(): { step: Say; told: Map<string, string> } {
  const told = new Map<string, string>()
  return {
    told,
    step: async (title, run) => {
      told.set(title, await run())
    },
  }
}

describe.skipIf(lacksJudges)('the story of `npm run demo -- --mcp`', () => {
  it('holds with Codex CLI, unmodified, and a reference server', async () => {
    await using system = await startSystem()
    const { step, told } = listener()
    await tellMcp(system, step, { codex: true })
    expect(told.size).toBe(10)
  })
})

describe.skipIf(lacksPython)('the story of `npm run demo -- --surfaces`', () => {
  it('tells that one approval, one budget and one withdrawal hold for an MCP server, an API, PostgreSQL and Django', async () => {
    await using system = await startSystem()
    const { step, told } = listener()
    await tellSurfaces(system, step)
    const all = [...told.values()].join('\n')
    expect([...told.keys()]).toEqual([
      'Four surfaces that exist are put behind one gateway',
      'Only the gateway holds their secrets',
      'The agent asks once, and a person approves once',
      'Surface one: a tool of the MCP server',
      'Surface two: the HTTP API',
      'Surface three: a table in PostgreSQL',
      'Surface four: a page of an application that only knows people',
      'One budget counted all of it',
      'One click stops all four',
      'Each surface is cut',
      'Who did it, and who allowed it? The evidence answers for all four',
    ])
    expect(told.get('One budget counted all of it')).toMatch(/took: \d+ of 40 calls, and 30 of 50 EUR/)
    expect(told.get('Each surface is cut')).toMatch(/notes: \w+, refunds: \w+, orders: \w+, office: \w+\./)
    expect(told.get('Who did it, and who allowed it? The evidence answers for all four')).toMatch(
      /notes\/write_note +dec_.*refunds\/refund +dec_.*orders\/connect +dec_.*office\/rename_case +dec_.*30 EUR.*found nothing wrong/s,
    )
    // No sentence shows a secret that the gateway holds for the agent.
    expect(all).not.toMatch(/canary-of-django|key-of-the-refunds|password-of-the-broker/)
  })
})
