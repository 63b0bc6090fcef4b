import { randomBytes } from 'node:crypto'
import type { Position } from '@bailiwick/bus'
import { type KafkaBus, kafkaBus } from '@bailiwick/bus/kafka'
import { services, topicNamed, topics, writersOf } from '@bailiwick/contracts'
import { readKeyFile } from '@bailiwick/credentials'
import { paths } from '@bailiwick/installation'
import { lacks } from '@bailiwick/native'
import { describe, expect, it } from 'vitest'
import { forgedEvent } from '../../abuse/scene.ts'
import { type Play, usePlay } from './play.ts'

const silent = { debug() {}, info() {}, warn() {}, error() {} }
const poisons: Record<string, Uint8Array> = {
  nothing: Buffer.alloc(0),
  'random bytes': randomBytes(500),
  'no JSON': Buffer.from('{"specversion":"1.0",'),
  'deep nesting': Buffer.from(`{"data":${'['.repeat(20_000)}${']'.repeat(20_000)}}`),
  'as large as it gets': Buffer.alloc(65_535, ' '),
}

describe.skipIf(lacks('secure-kafka', 'redis'))('poison on a real broker', () => {
  let play: Play
  usePlay({}, (opened) => {
    play = opened
  })

  it('from the admin, or from a service that may write the topic: refused or parked, and no service stops (V12, V13, V17)', async () => {
    const { system } = play
    // An issuer's event, signed by the key of another service.
    const data = {
      revocation_id: `rev_${'0'.repeat(26)}`,
      kind: 'all',
      target: '*',
      reason: 'poison',
      by: { kind: 'operator', id: 'thief' },
    }
    const stolen = readKeyFile(paths(system.data).keys('approval'), 'event', 'approval-event')
    const forged = { type: 'revocation.declared', subject: 'foreign', key: 'foreign', version: 1, data }
    const foreign = forgedEvent('revocations.v1', forged, stolen).bytes
    const parked: Position[] = []
    await using admin = await kafkaBus({ connection: system.connection('admin'), logger: silent })
    await play.through('poison on every topic', async () => {
      for (const principal of ['admin', 'agents', ...services] as const) {
        await using bus: KafkaBus = await kafkaBus({ connection: system.connection(principal), logger: silent })
        for (const topic of topics) {
          if (principal !== 'admin' && !writersOf(topic).some((writer) => writer === principal)) continue
          const all = { ...poisons, ...(topic.name === 'revocations.v1' ? { foreign } : {}) }
          for (const [key, bytes] of Object.entries(all)) {
            const [position] = await bus.publish(topic.name, [{ id: `evt_${key}`, key, bytes }] as never)
            if (topic.leaf && position) parked.push(position)
          }
          const tooLarge = bus.publish(topic.name, [{ key: 'k', bytes: Buffer.alloc(65_536, ' ') }] as never)
          await expect(tooLarge).rejects.toMatchObject({ code: 'event_too_large' })
        }
        await play.goesOn()
      }
    })
    const wanted = new Set(parked.map(({ topic, partition, offset }) => `${topic}/${partition}/${offset}`))
    const told = [...new Set(parked.map(({ topic }) => `${topic}.parked`)), 'findings.v1'].filter(topicNamed)
    await using _ = await admin.follow(told, 'start', async (batch) => {
      for (const { bytes } of batch) wanted.delete(subjectOf(bytes))
    })
    await expect.poll(() => [...wanted]).toEqual([])
  }, 240_000)
})

function subjectOf(bytes: Uint8Array): string {
  try {
    return String(JSON.parse(Buffer.from(bytes).toString()).subject)
  } catch {
    return '' // poison, on that topic
  }
}
