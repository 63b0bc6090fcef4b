import { startSystem } from '@bailiwick/testkit'
import { describe, expect, it } from 'vitest'
import { tellMcp } from '../demo/mcp-story.ts'
import { lacksJudges } from './programs.ts'

describe.skipIf(lacksJudges)('the story of `npm run demo -- --mcp`', () => {
  it('holds with Codex CLI, unmodified, and a reference server', async () => {
    await using system = await startSystem()
    const titles: string[] = []
    await tellMcp(
      system,
      async (title, run) => {
        await run()
        titles.push(title)
      },
      { codex: true },
    )
    expect(titles).toHaveLength(10)
  })
})
