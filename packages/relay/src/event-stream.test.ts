import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { redactEvents } from './event-stream.ts'

function shown(parts: (string | Uint8Array)[], fields = ['iban']): string {
  const stream = redactEvents(fields)
  return parts.map((part) => Buffer.from(stream.push(Buffer.from(part))).toString()).join('')
}

describe('a stream of events', () => {
  it('hides fields in the data of each event, and keeps ids, types and retry times', () => {
    const event = 'event: message\nid: 7\nretry: 100\ndata: {"iban":"DE1","a":1}\n\n'
    expect(shown([event])).toBe('event: message\nid: 7\nretry: 100\ndata: {"iban":"[redacted]","a":1}\n\n')
  })

  it.each(['\n', '\r\n', '\r'])('ends lines with %j', (end) => {
    const text = ['data: {"iban":', 'data: "DE1"}', '', 'data: 1', '', '', ': '].join(end)
    expect(shown([text, `x${end}${end}`])).toBe('data: {"iban":"[redacted]"}\n\ndata: 1\n\n')
  })

  it('is the same however it is cut into parts', () => {
    const text = ': hi\r\n\r\ndata: {"iban":"Dé1","a":"ü"}\r\n\r\nid: 1\ndata: {}\n\ndata: [1,\ndata:2]\r\r'
    const bytes = Buffer.from(`${text}: end\n\n`)
    const whole = shown([bytes])
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length), { maxLength: 6 }), (cuts) => {
        const at = [0, ...cuts.toSorted((a, b) => a - b), bytes.length]
        expect(shown(at.slice(1).map((end, n) => bytes.subarray(at[n], end)))).toBe(whole)
      }),
    )
    expect(whole).toContain('[redacted]')
    expect(whole).not.toMatch(/hi|end|D/)
  })

  it.each<[string, string | Uint8Array]>([
    ['text', 'data: iban DE1\n\n'],
    ['half an event of JSON', 'data: {"iban":\n\n'],
    ['a key twice', 'data: {"iban":"DE1","iban":"DE2"}\n\n'],
    ['a field that has no meaning', 'iban: DE1\ndata: {}\n\n'],
    ['a long id', `id: ${'DE1'.repeat(100)}\n\n`],
    ['an id of many words', 'id: iban is DE1\n\n'],
    ['no UTF-8', Uint8Array.from([0x64, 0x61, 0xff])],
    ['an event without end', `data: ${'x'.repeat(1_100_000)}`],
  ])('with %s is withheld', (_, text) => expect(() => shown([text])).toThrow('answer_withheld'))

  it('lets nothing leave of an event that is not whole', () => {
    expect(shown(['data: {"iban":"DE1"}\n'])).toBe('')
  })
})
