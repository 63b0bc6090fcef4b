import type { Position } from '@bailiwick/bus'
import { encodeEnvelope, topics } from '@bailiwick/contracts'
import { exampleEvent } from '@bailiwick/contracts/examples'
import { type EventPurpose, generateKey, otherSpellingOf, type SigningKey, signEvent } from '@bailiwick/credentials'
import { paths } from '@bailiwick/installation'
import { expect, it } from 'vitest'
import { readLog } from '../audit.ts'
import { Scene } from './scene.ts'

const leafTopics = topics.filter(({ leaf }) => leaf)

it('every reader ignores events that are unsigned, or signed by a stranger or the wrong service (V12)', async () => {
  await using scene = await Scene.open()
  await scene.granted()
  const before = await scene.counted()
  const stranger = generateKey('issuer-event') as SigningKey<EventPurpose>
  const positions: Position[] = []
  for (const topic of leafTopics) {
    const others = (['approval', 'issuer', 'policy-decision', 'evidence'] as const).filter((s) => s !== topic.writer)
    for (const type of Object.keys(topic.events)) {
      const { jws: _, ...event } = exampleEvent(topic.name, type)
      const unsigned = encodeEnvelope({ ...event, source: `/${topic.writer}/thief`, time: new Date().toISOString() })
      const flipped = Buffer.from(signEvent(unsigned, scene.stolenKey(topic.writer as 'issuer')))
      flipped[flipped.length - 10] = flipped[flipped.length - 10] === 65 ? 66 : 65
      const forgeries = [
        unsigned,
        flipped,
        signEvent(unsigned, stranger),
        ...others.map((service) => signEvent(unsigned, scene.stolenKey(service))),
      ]
      const placed = forgeries.map((bytes) => scene.place(topic.name, event.partitionkey, bytes))
      positions.push(...(await Promise.all(placed)))
    }
  }
  expect(await scene.counted()).toBe(before)
  await scene.parked(positions)
  await scene.stillWorks()
  const report = await scene.audited()
  expect(report.findings).toEqual([])
  expect(report.counted['event.refused']).toBeGreaterThan(leafTopics.length)
})

it('a copy of an event with the other spelling of its signature adds no leaf and accuses no service (V2)', async () => {
  await using scene = await Scene.open()
  await scene.granted()
  const before = await scene.counted()
  const copies = new Set<string>()
  for (const { name } of leafTopics)
    for (const { key, bytes } of await scene.read(name)) {
      const copy = otherSpellingOf(bytes) ?? expect.fail('it has no other')
      await scene.place(name, key, copy)
      copies.add(Buffer.from(copy).toString())
    }
  expect(copies.size).toBeGreaterThan(10)
  expect(await scene.counted()).toBe(before)
  await scene.stillWorks() // behind the copies, on the same partitions
  const { findings, counted } = await scene.audited()
  expect(findings).toEqual([])
  expect([counted['event.refused'], counted['event.parked']]).toEqual([undefined, undefined])
  const { data, host } = scene.system
  const { entries } = await readLog(paths(data).log, host.trust.log.vkey)
  expect(entries.filter((entry) => copies.has(Buffer.from(entry).toString()))).toEqual([])
})

it('evidence reports a forgery even if an agent named its task after the forgery’s position (V15)', async () => {
  await using scene = await Scene.open()
  const agent = scene.agent()
  const { requestId } = await scene.granted(agent)
  const ends = await scene.bus.ends('revocations.v1')
  const permission = { actions: ['tools/call'], resource: { type: 'tool', id: 'invoices/read' } }
  await scene.asked(agent, {
    type: 'bailiwick_task',
    task: `revocations.v1/0/${ends[0]}`,
    permissions: [permission],
    budget: { calls: 1 },
    max_depth: 0,
    max_children: 0,
  })
  await scene.audited() // the request is in the log
  const event = exampleEvent('revocations.v1', 'revocation.declared')
  const { jws: _, ...forged } = { ...event, source: '/issuer/thief', subject: requestId }
  const bytes = signEvent(encodeEnvelope(forged), generateKey('issuer-event') as SigningKey<EventPurpose>)
  await scene.parked([await scene.place('revocations.v1', event.partitionkey, bytes)])
  expect((await scene.audited()).findings).toEqual([])
})
