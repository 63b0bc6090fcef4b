import { hasEngine } from './container.ts'
import { missingPrograms, type Program } from './programs.ts'

/** The parts that a suite may need from the machine. */
export type Part = 'kafka' | 'secure-kafka' | 'redis'

const programs: Record<Part, readonly Program[]> = {
  kafka: ['java', 'mvn'],
  'secure-kafka': ['java', 'mvn', 'openssl'],
  redis: ['redis-server', 'redis-cli'],
}

/**
 * What this machine lacks for these parts, each with how to get it. Where a Docker engine answers, its images have
 * all but openssl.
 */
export function missingParts(...parts: readonly Part[]): string[] {
  const missing = (wanted: readonly Program[]) => missingPrograms([...new Set(wanted)])
  const wanted = parts.flatMap((part) => programs[part])
  return missing(wanted).length > 0 && hasEngine()
    ? missing(wanted.filter((name) => name === 'openssl'))
    : missing(wanted)
}

/**
 * Whether a suite that starts these parts is skipped: `describe.skipIf(lacks('redis'))`. With CI=true it never is: it
 * runs, and fails with the part's own error. Elsewhere the closing line of the run names what was missing.
 */
export function lacks(...parts: readonly Part[]): boolean {
  return process.env.CI !== 'true' && missingParts(...parts).length > 0
}
