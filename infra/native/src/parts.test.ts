import { afterEach, describe, expect, it, vi } from 'vitest'
import { lacks, missingParts } from './parts.ts'

afterEach(() => vi.unstubAllEnvs())

describe('a machine without the parts', () => {
  it('names each missing program once, however many parts need it', () => {
    vi.stubEnv('PATH', '/nowhere')
    vi.stubEnv('JAVA_HOME', '')
    const named = missingParts('kafka', 'secure-kafka', 'redis').map((line) => line.split(':')[0])
    expect(named).toEqual(['java', 'mvn', 'openssl', 'redis-server', 'redis-cli'])
  })

  it('skips suites, but not in CI, where they fail', () => {
    vi.stubEnv('PATH', '/nowhere')
    vi.stubEnv('CI', '')
    expect(lacks('redis')).toBe(true)
    vi.stubEnv('CI', 'true')
    expect(lacks('redis')).toBe(false)
  })
})
