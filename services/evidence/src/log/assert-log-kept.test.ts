import { eventText, exampleEvent } from '@bailiwick/contracts/examples'
import { systemClock } from '@bailiwick/kit'
import { SIGNATURE_TYPE, SignerKey } from '@bailiwick/tlog'
import { expect, it } from 'vitest'
import { aMessage, having } from '../ingest/messages.fixture.ts'
import { assertLogKept } from './assert-log-kept.ts'
import { LogFolder, logKey } from './log.fixture.ts'
import { Log, type Published } from './log.ts'

const otherKey = new SignerKey(logKey.verifier.name, new Uint8Array(32).fill(8), SIGNATURE_TYPE.ED25519)

it.each([
  ['as it announced', ['a', 'b'], logKey, undefined],
  ['that has grown since', ['a'], logKey, undefined],
  ['with another leaf', ['a', 'c'], logKey, 'first 2 leaves are not those'],
  ['with another first leaf', ['c'], logKey, 'first 1 leaves are not those'],
  ['that lost a leaf', ['a', 'b', 'c'], logKey, 'it has 2 leaves, and announced a checkpoint of 3'],
  ['of which others announced something', ['a', 'b', 'c'], otherKey, undefined],
] as const)('knows a log %s by its newest checkpoint on the bus (V14)', async (_, announced, signer, fault) => {
  using other = new LogFolder()
  using folder = new LogFolder()
  const { note } = await grown(other, announced, signer)
  const head = await grown(folder, ['a', 'b'], logKey)
  const bus = having([aMessage(0, 'junk'), aMessage(1, announcement(note))])
  const kept = assertLogKept({ bus, storage: { read: folder.read }, key: logKey.verifier, now: 0 }, head)
  if (fault === undefined) await kept
  else await expect(kept).rejects.toMatchObject({ code: 'log_inconsistent', message: expect.stringContaining(fault) })
})

it('reads the newest checkpoint of the topic, and those of other instances that came since, and stops reading', async () => {
  using folder = new LogFolder()
  const head = await grown(folder, ['a'], logKey)
  const seen: unknown[] = []
  const bus: Parameters<typeof assertLogKept>[0]['bus'] = {
    follow: async (topics, since, handler) => {
      seen.push(topics, since)
      const follower = await having([]).follow(topics, since, handler)
      return { ...follower, [Symbol.asyncDispose]: async () => void seen.push('stopped') }
    },
  }
  await assertLogKept({ bus, storage: { read: folder.read }, key: logKey.verifier, now: 17 }, head)
  expect(seen).toEqual([['checkpoints.v1'], { time: 17, orLast: true }, 'stopped'])
})

it('rejects where the bus cannot be read', async () => {
  using folder = new LogFolder()
  const head = await grown(folder, ['a'], logKey)
  const bus: Parameters<typeof assertLogKept>[0]['bus'] = {
    follow: async () => ({
      caughtUp: new Promise<never>(() => undefined),
      failed: Promise.reject(new Error('the bus is gone')),
      [Symbol.asyncDispose]: async () => undefined,
    }),
  }
  const kept = assertLogKept({ bus, storage: { read: folder.read }, key: logKey.verifier, now: 0 }, head)
  await expect(kept).rejects.toThrow('the bus is gone')
})

function announcement(checkpoint: string): string {
  const example = exampleEvent('checkpoints.v1', 'checkpoint.published')
  return eventText({ ...example, data: { ...Object(example.data), checkpoint } })
}

/** A log with these leaves. */
async function grown(folder: LogFolder, leaves: readonly string[], key: SignerKey): Promise<Published> {
  await using storage = await folder.open()
  const log = await Log.open(storage, key, () => systemClock.now())
  const entries = leaves.map((leaf) => Buffer.from(leaf))
  return log.append(entries, {})
}
