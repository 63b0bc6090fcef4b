import { mkdtempSync, readdirSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import type { Engine } from './engine.ts'

const hidden = ['java', 'mvn', 'redis-server', 'redis-cli']

/** Of a machine with this engine that has neither Kafka nor Redis: every other program stays on the path. */
export function onlyEngine({ host }: Engine): NodeJS.ProcessEnv {
  const folder = mkdtempSync(join(tmpdir(), 'programs-'))
  const seen = new Set(hidden)
  for (const place of (process.env.PATH ?? '').split(delimiter))
    for (const name of namesIn(place)) {
      if (!seen.has(name)) symlinkSync(join(place, name), join(folder, name))
      seen.add(name)
    }
  // No Ryuk: its image would have to be pulled. The engine is this run's own, and ends with all that it runs.
  return { PATH: folder, JAVA_HOME: '', DOCKER_HOST: host, TESTCONTAINERS_RYUK_DISABLED: 'true' }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return [] // a path may name folders that are not there
  }
}
