import { describe, expect, it } from 'vitest'
import { closingLines, missingIn } from '../closing-line.ts'

const missing = ['java: Java 17 or newer (Debian: openjdk-17-jre-headless)', 'redis-server: Redis 7 or newer']

describe('the closing line', () => {
  it('states what passed and what failed, and what was skipped if anything was', () => {
    expect(closingLines({ passed: 5, failed: 1, skipped: 0 }, [], true)).toEqual(['5 passed, 1 failed'])
    expect(closingLines({ passed: 5, failed: 0, skipped: 2 }, [], false)).toEqual(['5 passed, 0 failed, 2 skipped'])
  })

  it('names the parts that a machine lacks, and how to get them', () => {
    expect(closingLines({ passed: 5, failed: 0, skipped: 7 }, missing, false)).toEqual([
      'MISSING java: Java 17 or newer (Debian: openjdk-17-jre-headless)',
      'MISSING redis-server: Redis 7 or newer',
      '5 passed, 0 failed, 7 SKIPPED for want of java, redis-server',
    ])
  })

  it('names what tests found missing as they ran, each once', () => {
    const notes = ['MISSING a container engine: only root may start one', undefined, 'not today']
    expect(missingIn([...notes, ...notes])).toEqual(['a container engine: only root may start one'])
  })

  it('counts as failed, in CI, every test skipped for a missing part', () => {
    expect(closingLines({ passed: 5, failed: 1, skipped: 7 }, missing, true).at(-1)).toBe(
      '5 passed, 8 failed: for want of java, redis-server',
    )
  })
})
