import { sample } from '@bailiwick/standalone/sample'
import { expect, it } from 'vitest'
import { allowed, findingsOf } from './forge.ts'
import { GoodLog } from './good-log.ts'

// What a tool's declared mapping made of a call: granted beside it, or found.

async function mappedTo(name: string, resource: { type: string; id: string }) {
  const log = new GoodLog()
  await log.begin()
  log.grant('task')
  log.allow('read', 'task', 1)
  log.outcome('read done', 'read', 2, 1, 'succeeded')
  Object.assign(allowed(log, 'read').data, { mapped: [{ name, resource }] })
  return (await findingsOf(log)).map(({ rule, detail }) => `${rule} ${detail.slice(detail.indexOf(':') + 2)}`)
}
const tool = (name: string) => ({ type: 'tool', id: `${sample.toolServer}/${name}` })

it('what a mapping makes of a call is found in order if it was granted too', async () => {
  expect(await mappedTo('tools/call', tool('read'))).toEqual([])
})

it.each<[string, string, { type: string; id: string }]>([
  ['that was not granted', 'tools/call', tool('delete')],
  ['by an action that was not granted', 'read', tool('read')],
  ['that was granted with limits', 'tools/call', tool('adjust')],
])('a mapping to something %s is found (V3)', async (_, name, resource) => {
  expect(await mappedTo(name, resource)).toEqual(['V3 what its tool maps it to is not covered'])
})

it('a mapping to something that its point does not guard is found (V3)', async () => {
  const findings = await mappedTo('tools/call', { type: 'customer', id: 'c1' })
  expect(findings.some((each) => each.startsWith('V3 not the enforcement point'))).toBe(true)
})
