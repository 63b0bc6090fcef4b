import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { paths } from '@bailiwick/installation'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { audit } from '../audit.ts'
import { measureGateway } from '../bench/gateway.ts'

let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'bench-gateway-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

it('measures real calls: each answer is one call of the server and one outcome of a log without findings (V1, V2)', async () => {
  const nothing = () => undefined
  const { rows } = await measureGateway({ dir, quick: true, progress: nothing, stage: nothing, keep: nothing })
  const value = (name: string) => rows.find((row) => row.name === name)?.value
  const answered = value('answered through the gateway')
  // Eight agents begin; then 10 and 30 at a steady rate, and 64 at once, less those that a busy machine denied; and agents with streams.
  expect(answered).toBeGreaterThan(8)
  expect(value('reached the server through the gateway')).toBe(answered)
  expect(value('outcomes in the log that succeeded')).toBe(answered)
  expect(value('streams that began')).toBeGreaterThanOrEqual(2)
  for (const { name, value } of rows) expect(Number.isFinite(value), name).toBe(true)
  for (const end of ['added p50', 'added p99', 'memory of the gateway', 'acknowledged → last byte, p99'])
    expect(rows.filter(({ name, target }) => name.endsWith(end) && target !== undefined)).toHaveLength(1)
  const { log, trust } = paths(join(dir, 'system'))
  const { findings } = await audit({ logDir: log, trustPath: trust })
  expect(findings).toEqual([])
})
