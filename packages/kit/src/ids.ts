import type { RandomSource } from './random.ts'

/** The kinds of things that ids name. The kind is the id's first part, so that one kind cannot be mistaken for another. */
export type IdPrefix = 'rev' | 'req' | 'apr' | 'grt' | 'dlg' | 'crd' | 'dec' | 'out' | 'evt' | 'call' | 'chg' | 'ins'

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ' // Crockford's base32: no I, L, O, U
const TIME_LIMIT = 2 ** 48

/**
 * `<prefix>_` and 26 characters in the form of a ULID: 48 bits of `now` (ms since the epoch), then 80 random bits. Ids of
 * one prefix sort by time of creation; within one ms they have no order. An id is not a secret, and it reveals when it was made.
 */
export function newId(prefix: IdPrefix, now: number, random: RandomSource): string {
  if (!Number.isSafeInteger(now) || now < 0 || now >= TIME_LIMIT) throw new RangeError('a time that no id can hold')
  const bytes = random(10)
  if (bytes.length !== 10) throw new RangeError('a random source that gives another length than asked')
  let time = ''
  for (let rest = now, n = 0; n < 10; n++, rest = Math.floor(rest / 32)) time = ALPHABET.charAt(rest % 32) + time
  return `${prefix}_${time}${base32(bytes)}`
}

/** When an id was made, in ms since the epoch, by its maker's clock; undefined for a string that `newId` cannot have made. */
export function timeOfId(id: string): number | undefined {
  const [, time] = /^[a-z]+_([0-7][0-9A-HJKMNP-TV-Z]{9})[0-9A-HJKMNP-TV-Z]{16}$/.exec(id) ?? []
  return time === undefined ? undefined : [...time].reduce((ms, digit) => ms * 32 + ALPHABET.indexOf(digit), 0)
}

function base32(bytes: Uint8Array): string {
  let text = ''
  let bits = 0
  let held = 0
  for (const byte of bytes) {
    held = (held << 8) | byte
    for (bits += 8; bits >= 5; bits -= 5) text += ALPHABET.charAt((held >> (bits - 5)) & 31)
    held &= (1 << bits) - 1
  }
  return text
}
