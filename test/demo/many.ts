import { execFile } from 'node:child_process'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { busyMachine } from '../busy-machine.ts'
import type { Step } from './story.ts'

// node test/demo/many.ts [--count 50] [--busy 6]
// Runs the demo on a real Kafka and Redis `count` times, next to `busy` processes that never wait, and reports how many
// runs held.

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: process.env.BAILIWICK_COUNT ?? '50' },
    busy: { type: 'string', default: '6' },
  },
})
const count = Number(values.count)
using _ = busyMachine(Number(values.busy))

let held = 0
for (let n = 1; n <= count; n++) {
  const began = performance.now()
  const { ok, said } = await demo()
  if (ok) held++
  const seconds = Math.round((performance.now() - began) / 1000)
  console.log(`demo: ${n}: ${ok ? 'held' : 'FAILED'} after ${seconds} s at load ${loadavg()[0]?.toFixed(1)}${said}`)
}
console.log(`demo: ${held} of ${count} held`)
if (held < count) process.exitCode = 1

function demo(): Promise<{ ok: boolean; said: string }> {
  const main = join(import.meta.dirname, 'main.ts')
  return new Promise((resolve) => {
    execFile(process.execPath, [main, '--kafka', '--json'], { maxBuffer: 2 ** 26 }, (error, out, err) => {
      if (error === null) return resolve({ ok: true, said: '' })
      resolve({ ok: false, said: `: ${failedStep(out) ?? `${out}${err}`.slice(-4000)}` })
    })
  })
}

function failedStep(out: string): string | undefined {
  try {
    const step = (JSON.parse(out) as Step[]).find(({ ok }) => !ok)
    return step && `step ${step.step}: ${step.detail}`
  } catch {
    return undefined
  }
}
