import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { paths } from '@bailiwick/installation'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { audit } from '../audit.ts'
import { measureGatewayHttp, measureGatewayModels } from '../bench/gateway-upstreams.ts'

let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'bench-upstreams-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const nothing = () => undefined
const quick = { quick: true, progress: nothing, stage: nothing, keep: nothing }
const findings = async () => {
  const { log, trust } = paths(join(dir, 'system'))
  return (await audit({ logDir: log, trustPath: trust })).findings
}

it('measures real calls of an API: each answer is one call that reached it, and the log has no findings (V1)', async () => {
  const { rows } = await measureGatewayHttp({ dir, ...quick })
  for (const { name, value } of rows) expect(Number.isFinite(value), name).toBe(true)
  expect(rows.filter(({ name }) => /the gateway over .*, p50$/.test(name))).toHaveLength(1)
  expect(await findings()).toEqual([])
})

it('measures real calls of a model, and spends no more than a small budget (V9)', async () => {
  const { rows } = await measureGatewayModels({ dir, ...quick })
  for (const { name, value } of rows) expect(Number.isFinite(value), name).toBe(true)
  expect(rows.find(({ name }) => name.includes('spent beyond it'))?.value).toBe(0)
  expect(await findings()).toEqual([])
})
