import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { missingPrograms, run } from '../consumers/programs.ts'
import { binaries } from '../e2e/postgres-server.ts'
import { djangoPython } from '../judges/django-site.ts'

/** Lists the programs that the story of four surfaces needs and this machine lacks, each with how to get it. Installs Django if it is not there yet. */
export async function missingForSurfaces(): Promise<string[]> {
  const missing = missingPrograms().filter((each) => each.startsWith('python3'))
  if (!hasPostgres())
    missing.push('PostgreSQL (Debian: postgresql; elsewhere: BAILIWICK_POSTGRES_BIN names the folder of its programs)')
  if (!(await runs('psql', '--version'))) missing.push('psql (Debian: postgresql-client)')
  if (!(await runs('openssl', 'version'))) missing.push('openssl (Debian: openssl)')
  if (missing.length > 0) return missing
  return djangoPython().then(
    () => [],
    (error: Error) => [`Django, which pip could not install from PyPI: ${error.message}`],
  )
}

function hasPostgres(): boolean {
  try {
    return existsSync(join(binaries(), 'postgres'))
  } catch {
    return false
  }
}

const runs = (file: string, word: string): Promise<boolean> =>
  run(file, [word]).then(
    ({ code }) => code === 0,
    () => false,
  )
