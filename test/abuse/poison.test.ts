import { randomBytes } from 'node:crypto'
import type { Position } from '@bailiwick/bus'
import { topics } from '@bailiwick/contracts'
import { expect, it } from 'vitest'
import { Scene } from './scene.ts'

const deep = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`
const poisons: [string, Uint8Array][] = [
  ['nothing', Buffer.alloc(0)],
  ['random bytes', randomBytes(500)],
  ['no JSON', Buffer.from('{"specversion":"1.0",')],
  ['deep nesting', Buffer.from(`{"data":${deep(20_000)}}`)],
  ['no UTF-8', Buffer.concat([Buffer.from('{"id":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')])],
  ['duplicate members', Buffer.from('{"id":"evt_00000000","id":"evt_00000001"}')],
  ['a prototype', Buffer.from('{"__proto__":{"type":"grant.created"},"constructor":{}}')],
  ['null', Buffer.from('null')],
  ['more than any event', Buffer.alloc(65_536, ' ')],
]

it('poison on every topic stops no service: other events flow, and evidence parks the poison (V13)', async () => {
  await using scene = await Scene.open()
  const positions: Position[] = []
  const refused: string[] = []
  for (const { name, leaf } of topics) {
    for (const [what, bytes] of poisons) {
      try {
        const position = await scene.place(name, `poison ${what}`, bytes)
        if (leaf) positions.push(position)
      } catch (error) {
        refused.push(String((error as { code?: unknown }).code))
      }
    }
  }
  // The bus itself refuses anything larger than an event may be.
  expect(new Set(refused).size).toBeLessThanOrEqual(1)
  await scene.stillWorks()
  await scene.parked(positions)
  await scene.stillWorks(scene.agent('forecaster'))
  const report = await scene.audited()
  expect(report.findings).toEqual([])
  expect(report.counted['event.parked']).toBeGreaterThanOrEqual(poisons.length - 1)
  expect((await fetch(`${scene.url}/readyz`)).status).toBe(200)
})
