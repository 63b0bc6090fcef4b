import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ServiceError } from '@bailiwick/errors'
import { logger, metrics } from '@bailiwick/host'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type GatewayFile, readGatewayFile } from './gateway-file.ts'
import { Reload, stampsOf } from './reload.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gateway-reload-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const server = { url: 'http://127.0.0.1:1/mcp' }

function opened(everyMs = 5) {
  const path = join(folder, 'gateway.yaml')
  const write = (file: object) => writeFileSync(path, JSON.stringify(file))
  write({ mcp: { one: server } })
  const applied: GatewayFile[] = []
  let refusal: ServiceError | undefined
  const counts = metrics({ service: 'gateway', processMetrics: false })
  const first = readGatewayFile(path)
  const reload = new Reload({
    ...{ path, first, stamps: stampsOf(path, first), everyMs, metrics: counts },
    logger: logger({ service: 'gateway', level: 'silent' }),
    apply(file) {
      if (refusal !== undefined) throw refusal
      applied.push(file)
      return { added: [], changed: [], removed: [] }
    },
  })
  const refuse = (error: ServiceError | undefined) => {
    refusal = error
  }
  return { path, write, applied, reload, refuse, counts, [Symbol.dispose]: () => reload[Symbol.dispose]() }
}

it('reads a file again when it changed', async () => {
  using it = opened()
  it.write({ mcp: { one: server, two: server } })
  await expect.poll(() => it.applied.map(({ mcp }) => Object.keys(mcp))).toEqual([['one', 'two']])
})

it('reads it again when one of its pin files changed, came or went', async () => {
  using it = opened()
  it.refuse(new ServiceError('config_invalid', 'the pin cannot be read'))
  it.write({ mcp: { one: { ...server, pin: 'one.json' } } })
  const refused = async () => /result="refused"[^}]*\} (\d+)/.exec(await it.counts.text())?.[1]
  await expect.poll(refused).toBe('1')
  it.refuse(undefined)
  writeFileSync(join(folder, 'one.json'), '{}')
  await expect.poll(() => it.applied.length).toBe(1)
  writeFileSync(join(folder, 'one.json'), '{ }')
  await expect.poll(() => it.applied.length).toBe(2)
  rmSync(join(folder, 'one.json'))
  await expect.poll(() => it.applied.length).toBe(3)
})

it.each<[string, object | string]>([
  ['is no YAML', '{'],
  ['has a misspelt member', { mcp: { one: { ...server, pinn: 'x' } } }],
  ['names another point', { point: 'other', mcp: { one: server } }],
  ['names other keys', { keys: 'others', mcp: { one: server } }],
  ['trusts another installation', { trust: 'other.json', mcp: { one: server } }],
  ['asks another decision point', { decision_point: 'http://127.0.0.1:2', mcp: { one: server } }],
])('puts nothing of a file into use that %s', (_, file) => {
  using it = opened(60_000)
  if (typeof file === 'string') writeFileSync(it.path, file)
  else it.write(file)
  expect(it.reload.now()).toBe('config_invalid')
  expect(it.applied).toEqual([])
  it.write({ mcp: { one: server } })
  expect(it.reload.now()).toBeUndefined()
  expect(it.applied).toHaveLength(1)
})
