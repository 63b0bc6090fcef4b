import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { nodeArguments } from './node-arguments.ts'

/** The largest heap that Node allows with these options, in MiB. It includes the young generation with its three halves. */
function limitOf(NODE_OPTIONS?: string): number {
  const env = { PATH: process.env.PATH, ...(NODE_OPTIONS === undefined ? {} : { NODE_OPTIONS }) }
  const script = 'console.log(require("node:v8").getHeapStatistics().heap_size_limit / 2 ** 20)'
  const args = [...nodeArguments(env), '--max-old-space-size=100', '--eval', script]
  return Number(spawnSync(process.execPath, args, { encoding: 'utf8', env }).stdout)
}

it('gives Node a young generation of 64 MiB, or what NODE_OPTIONS say', () => {
  expect(limitOf()).toBe(100 + 3 * 64)
  expect(limitOf('--max-semi-space-size=32')).toBe(100 + 3 * 32)
  expect(limitOf('--no-warnings')).toBe(100 + 3 * 64)
})

it('is what `npm start` starts with', () => {
  const { scripts } = JSON.parse(readFileSync(join(import.meta.dirname, '../../../../package.json'), 'utf8'))
  expect(scripts.start).toContain(`/node ${nodeArguments({}).join(' ')} services/standalone/`)
})
