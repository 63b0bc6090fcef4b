import { join } from 'node:path'
import { testClock } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { LogFolder, logKey } from './log.fixture.ts'
import type { Published } from './log.ts'
import { openLogWriter } from './log-writer.ts'

const place = { topic: 'grants.v1', partition: 0, offset: 0 }
const event = (id: string) =>
  Buffer.from(JSON.stringify({ id, type: 't', source: '/issuer/a', subject: 's', data: {} }))

it('opens the log with its index and what gives leaves their places, and writes all before it ends (V2)', async () => {
  using folder = new LogFolder()
  await using storage = await folder.open()
  const clock = testClock()
  const said: [Published, number][] = []
  const options = {
    storage,
    key: logKey,
    index: join(folder.dir, 'index'),
    clock,
    onFatal: () => expect.fail('the log cannot be written'),
    onPublished: (...each: [Published, number]) => {
      said.push(each)
      clock.advance(10)
    },
  }
  {
    await using writer = await openLogWriter(options)
    clock.advance(10)
    expect(await writer.sequencer.add(event('evt_1'), place)).toBe(0)
  }
  expect(said.map(([{ size }, leaves]) => [size, leaves])).toEqual([[1, 1]])
  await using again = await openLogWriter(options)
  expect(again.log.size).toBe(1)
  expect(again.index.indexOfEvent('evt_1')).toBe(0)
  expect(again.sequencer.consumed).toEqual({ 'grants.v1': { 0: 0 } })
})
