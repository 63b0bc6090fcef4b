import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '@bailiwick/cli'
import { systemClock, systemRandom } from '@bailiwick/kit'
import { expect } from 'vitest'
import { eventually } from './scene.ts'

/**
 * Runs the CLI as this machine's operator types it. Returns its exit code and its whole output. Retries when a busy
 * machine delayed a service.
 */
export function operatorAt(data: string) {
  return (...argv: string[]): Promise<{ code: number; out: string }> =>
    eventually(`an answer to ${argv.join(' ')}`, async () => {
      const out: string[] = []
      const say = (line: string) => void out.push(line)
      const io = { out: say, err: say, env: {}, clock: systemClock, random: systemRandom }
      const code = await run([...argv, '--data', data], io)
      const isHeldUp = out.some((line) => /\((service_(standby|unready|unreachable)|request_timed_out)\)/.test(line))
      return isHeldUp ? undefined : { code, out: out.join('\n') }
    })
}

/** The files of the data directory that contain these words, anywhere in them. */
export function holding(data: string, words: string): string[] {
  const files = readdirSync(data, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  expect(files.length).toBeGreaterThan(20)
  return files.map((entry) => join(entry.parentPath, entry.name)).filter((file) => readFileSync(file).includes(words))
}
