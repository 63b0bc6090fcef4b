import { closeSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { diskLogStorage } from '@bailiwick/evidence/disk-log-storage'
import { openLogWriter } from '@bailiwick/evidence/log-writer'
import { systemClock } from '@bailiwick/kit'
import { parseSkey, type SignerKey } from '@bailiwick/tlog'
import { generator } from '../seed.ts'

// What evidence does with its log, in a process of its own that is killed at any moment: node writer.ts FOLDER SKEY SEED.
// The bus is numbers: it delivers from what the log says it has had, and some of that again.

/** Files beside the log in which it says what it acknowledged and what it published. */
export const said = { acknowledged: 'acknowledged.txt', published: 'published.txt' } as const

export const entryOf = (n: number): Buffer =>
  Buffer.from(
    JSON.stringify({ id: `evt_${n}`, type: 'grant.created', source: '/issuer/a', subject: `s${n}`, data: {} }),
  )

const inFlight = 300
const [, main = '', folder = '', skey = '', seed = ''] = process.argv
if (main === import.meta.filename) await write(folder, parseSkey(skey) as SignerKey, Number(seed))

async function write(at: string, key: SignerKey, from: number): Promise<void> {
  const random = generator(from)
  const acknowledged = openSync(join(at, said.acknowledged), 'a')
  const publishedFile = openSync(join(at, said.published), 'a')
  const storage = await diskLogStorage({ log: join(at, 'log'), dir: at })
  let stopping = false
  process.once('SIGTERM', () => {
    stopping = true
  })
  const writer = await openLogWriter({
    storage,
    key,
    index: join(at, 'index'),
    clock: systemClock,
    onFatal(error) {
      console.error(error)
      process.exit(1)
    },
    onPublished: ({ size, root }) => void writeSync(publishedFile, `${size} ${Buffer.from(root).toString('hex')}\n`),
  })
  const { log, sequencer } = writer
  console.log('ready')
  const had = log.consumed.bus?.[0] ?? -1
  const underway = new Set<Promise<void>>()
  const deliver = (n: number) => {
    const done = sequencer.add(entryOf(n), { topic: 'bus', partition: 0, offset: n }).then((index) => {
      writeSync(acknowledged, `${index} ${n}\n`)
    })
    const settled = done.finally(() => underway.delete(settled))
    underway.add(settled)
  }
  for (let n = Math.max(0, had - Math.floor(random() * inFlight)); !stopping; n++) {
    deliver(n)
    if (random() < 0.05) deliver(Math.max(0, n - Math.floor(random() * inFlight)))
    while (underway.size > random() * inFlight) await Promise.race(underway)
    if (random() < 0.01) await pause(random() * 5)
  }
  await Promise.all(underway)
  await writer[Symbol.asyncDispose]()
  await storage[Symbol.asyncDispose]()
  for (const file of [acknowledged, publishedFile]) closeSync(file)
}
