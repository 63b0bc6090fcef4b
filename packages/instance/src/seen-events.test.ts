import { generateKey, otherSpellingOf, sha256, signEvent } from '@bailiwick/credentials'
import { expect, it } from 'vitest'
import { SeenEvents } from './seen-events.ts'

const key = generateKey('issuer-event')
const signed = signEvent(Buffer.from('{"id":"evt_1"}'), key)
const place = { topic: 'grants.v1', key: 'grt_1', bytes: signed }
const seenOnce = () => {
  const seen = new SeenEvents()
  seen.remember(place, 'evt_1', sha256(signed))
  return seen
}

it('knows an event again by its bytes, and by the other spelling of its signature (V2)', () => {
  const seen = seenOnce()
  expect(seen.verdict(place, 'evt_1', sha256(signed))).toBe('repeated')
  const bytes = otherSpellingOf(signed) ?? expect.fail('it has none')
  expect(seen.verdict({ ...place, bytes }, 'evt_1', sha256(bytes))).toBe('repeated')
})

it('gives other bytes under a known id no effect, signed or not', () => {
  const other = signEvent(Buffer.from('{"id":"evt_1","more":1}'), key)
  for (const bytes of [other, Buffer.from('{}')])
    expect(seenOnce().verdict({ ...place, bytes }, 'evt_1', sha256(bytes))).toBe('void')
})

it('says nothing of another id, nor of the same on another topic or key', () => {
  const seen = seenOnce()
  const hash = sha256(signed)
  expect(seen.verdict(place, 'evt_2', hash)).toBeUndefined()
  expect(seen.verdict({ ...place, topic: 'registry.v1' }, 'evt_1', hash)).toBeUndefined()
  expect(seen.verdict({ ...place, key: 'grt_2' }, 'evt_1', hash)).toBeUndefined()
})

it('remembers the first bytes of an id', () => {
  const seen = seenOnce()
  seen.remember(place, 'evt_1', 'other')
  expect(seen.verdict(place, 'evt_1', sha256(signed))).toBe('repeated')
})

it('remembers the last 100,000 (V18)', () => {
  const seen = new SeenEvents()
  for (let n = 0; n <= 100_000; n++) seen.remember(place, `evt_${n}`, 'hash')
  expect(seen.verdict(place, 'evt_0', 'hash')).toBeUndefined()
  expect(seen.verdict(place, 'evt_1', 'hash')).toBe('repeated')
  expect(seen.verdict(place, 'evt_100000', 'hash')).toBe('repeated')
})
