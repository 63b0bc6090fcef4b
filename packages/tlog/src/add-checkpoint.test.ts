import fc from 'fast-check'
import { expect, it } from 'vitest'
import { encodeAddCheckpoint, parseAddCheckpoint } from './add-checkpoint.ts'

/** The example of C2SP tlog-witness. */
const EXAMPLE = `old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
`
const HASH = 'PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw='
const NOTE = EXAMPLE.slice(EXAMPLE.indexOf('\n\n') + 2)

it('takes the example of the standard apart, and writes it again', () => {
  const parsed = parseAddCheckpoint(Buffer.from(EXAMPLE))
  expect(parsed).toMatchObject({ oldSize: 20_852_014, checkpoint: NOTE })
  expect(parsed?.proof.map((hash) => Buffer.from(hash).toString('base64'))).toHaveLength(4)
  expect(Buffer.from(encodeAddCheckpoint(parsed as NonNullable<typeof parsed>)).toString()).toBe(EXAMPLE)
})

it('reads back every body that it writes', () => {
  const hash = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes))
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.array(hash, { maxLength: 63 }), (oldSize, proof) => {
      expect(parseAddCheckpoint(encodeAddCheckpoint({ oldSize, proof, checkpoint: NOTE }))).toEqual({
        oldSize,
        proof,
        checkpoint: NOTE,
      })
    }),
  )
})

const lines = (count: number) => `${HASH}\n`.repeat(count)
it('takes 63 hashes and no more', () => {
  expect(parseAddCheckpoint(Buffer.from(`old 1\n${lines(63)}\n${NOTE}`))?.proof).toHaveLength(63)
  expect(parseAddCheckpoint(Buffer.from(`old 1\n${lines(64)}\n${NOTE}`))).toBeUndefined()
})

it.each([
  ['nothing', ''],
  ['a checkpoint alone', NOTE],
  ['no size', `old \n\n${NOTE}`],
  ['no space', `old1\n\n${NOTE}`],
  ['two spaces', `old  1\n\n${NOTE}`],
  ['a leading zero', `old 01\n\n${NOTE}`],
  ['a sign', `old +1\n\n${NOTE}`],
  ['a negative size', `old -1\n\n${NOTE}`],
  ['2^53', `old 9007199254740992\n\n${NOTE}`],
  ['another word', `new 1\n\n${NOTE}`],
  ['a carriage return', `old 1\r\n\n${NOTE}`],
  ['an empty line first', `\nold 1\n\n${NOTE}`],
  ['no empty line', `old 1\n${HASH}\n${NOTE}`],
  ['a short hash', `old 1\nAAAA\n\n${NOTE}`],
  ['a long hash', `old 1\n${'AAAA'.repeat(11)}\n\n${NOTE}`],
  ['a hash without padding', `old 1\n${HASH.slice(0, -1)}\n\n${NOTE}`],
  ['a hash of another alphabet', `old 1\n${HASH.replace('P', '-')}\n\n${NOTE}`],
  ['a hash in another spelling', `old 1\n${HASH.replace('w=', 'x=')}\n\n${NOTE}`],
  ['no checkpoint', 'old 1\n\n'],
  ['a checkpoint without signatures', `old 1\n\n${NOTE.slice(0, NOTE.indexOf('\n\n') + 2)}`],
  ['a checkpoint that ends early', `old 1\n\n${NOTE.slice(0, -1)}`],
  ['a byte order mark', `\uFEFFold 1\n\n${NOTE}`],
])('is no submission: %s', (_, body) => {
  expect(parseAddCheckpoint(Buffer.from(body))).toBeUndefined()
})

it('is no submission when it is not UTF-8, and is never written malformed', () => {
  expect(parseAddCheckpoint(Buffer.concat([Buffer.from('old 1\n\n'), Buffer.of(0xff), Buffer.from(NOTE)]))).toBe(
    undefined,
  )
  expect(() => encodeAddCheckpoint({ oldSize: 1.5, proof: [], checkpoint: NOTE })).toThrow(RangeError)
  expect(() => encodeAddCheckpoint({ oldSize: 1, proof: [new Uint8Array(31)], checkpoint: NOTE })).toThrow(RangeError)
  expect(() => encodeAddCheckpoint({ oldSize: 1, proof: [], checkpoint: 'no note' })).toThrow(RangeError)
})
