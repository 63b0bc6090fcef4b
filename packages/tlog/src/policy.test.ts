import { expect, it } from 'vitest'
import { encodeVkey, SIGNATURE_TYPE, SignerKey } from './keys.ts'
import { isQuorumMet, type ParsedPolicy, parsePolicy } from './policy.ts'

const keyOf = (name: string, n: number, type: 1 | 4) => new SignerKey(name, new Uint8Array(32).fill(n), type).verifier
const log = keyOf('log.example/a', 100, SIGNATURE_TYPE.ED25519)
const witnesses = Array.from({ length: 6 }, (_, n) => keyOf(`witness.example/${n}`, n, SIGNATURE_TYPE.COSIGNATURE))
const vkey = (n: number) => encodeVkey(witnesses[n] as (typeof witnesses)[number])
const parsed = (text: string): ParsedPolicy => parsePolicy(Buffer.from(text))

/** The example of C2SP tlog-policy. */
const EXAMPLE = `
log ${encodeVkey(log)}

witness X1 ${vkey(0)}
witness X2 ${vkey(1)} https://x2.example/
witness X3 ${vkey(2)}
group X-witnesses 2 X1 X2 X3

witness Y1 ${vkey(3)}
\twitness  Y2\t${vkey(4)}
witness Y3 ${vkey(5)}
  # any of them
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
`

it('reads the example of the standard, and asks for two of the one and one of the other', () => {
  const read = parsed(EXAMPLE)
  expect(read).toMatchObject({
    ok: true,
    policy: { logs: [{ key: log }], witnesses: witnesses.map((key) => ({ key })) },
  })
  if (!read.ok) return
  expect(read.policy.witnesses.map(({ url }) => url)).toEqual([undefined, 'https://x2.example/', ...Array(4)])
  const { policy } = read
  const met = (...of: number[]) => {
    const keys = policy.witnesses.map(({ key }) => key)
    return isQuorumMet(
      policy,
      of.map((n) => keys[n] as (typeof keys)[number]),
    )
  }
  expect(met(0, 1, 3)).toBe(true)
  expect(met(0, 1, 2, 3, 4, 5)).toBe(true)
  for (const few of [[], [0, 1], [0, 3], [0, 1, 2], [3, 4, 5], [0, 3, 4, 5], [0, 0, 3]]) expect(met(...few)).toBe(false)
})

it('takes one witness for a quorum, or none at all', () => {
  const one = parsed(`witness only ${vkey(0)}\nquorum only`)
  expect(one).toMatchObject({ ok: true, policy: { logs: [], quorum: witnesses[0] } })
  expect(one.ok && isQuorumMet(one.policy, [])).toBe(false)
  const none = parsed('quorum none\n')
  expect(none.ok && isQuorumMet(none.policy, [])).toBe(true)
})

it('keeps names apart that are different octets', () => {
  const kelvin = parsed(`witness \u212a ${vkey(0)}\nwitness K ${vkey(1)}\nquorum \u212a\n`)
  expect(kelvin).toMatchObject({ ok: true, policy: { quorum: witnesses[0] } })
})

const A = `witness a ${vkey(0)}\n`
const B = `witness b ${vkey(1)}\n`
it.each([
  ['no quorum', A, 2],
  ['two quorums', 'quorum none\nquorum none\n', 2],
  ['an unknown line', 'wittness a\nquorum none\n', 1],
  ['a quorum of an unknown witness', 'quorum a\n', 1],
  ['a quorum before its witness', `quorum a\n${A}`, 1],
  ['a member before it is defined', `${A}group g all a b\n${B}quorum g\n`, 2],
  ['a group that holds itself', `${A}group g all a g\nquorum g\n`, 2],
  ['none as a member', `${A}group g any a none\nquorum g\n`, 2],
  ['a witness named none', `witness none ${vkey(0)}\nquorum none\n`, 1],
  ['a name twice', `${A}witness a ${vkey(1)}\nquorum a\n`, 2],
  ['a group with the name of a witness', `${A}${B}group a any b\nquorum a\n`, 3],
  ['a witness under two names', `${A}witness b ${vkey(0)}\nquorum a\n`, 2],
  ['a key under two key names', `${A}witness b ${encodeVkey(keyOf('other', 0, 4))}\nquorum a\n`, 2],
  ['a member twice', `${A}group g 2 a a\nquorum g\n`, 2],
  ['a member of two groups', `${A}${B}group g any a\ngroup h all a b\nquorum h\n`, 4],
  ['zero of them', `${A}group g 0 a\nquorum g\n`, 2],
  ['two of one', `${A}group g 2 a\nquorum g\n`, 2],
  ['a number with a leading zero', `${A}group g 01 a\nquorum g\n`, 2],
  ['half of them', `${A}${B}group g 1.5 a b\nquorum g\n`, 3],
  ['an empty group', `${A}group g all\nquorum g\n`, 2],
  ['a log twice', `log ${encodeVkey(log)}\nlog ${encodeVkey(log)}\nquorum none\n`, 2],
  ['a log with the key of a witness', `log ${vkey(0)}\nquorum none\n`, 1],
  ['a witness with the key of a log', `witness a ${encodeVkey(log)}\nquorum a\n`, 1],
  ['a broken vkey', `witness a ${vkey(0).slice(0, -2)}\nquorum a\n`, 1],
  ['too many items', `witness a ${vkey(0)} https://a.example more\nquorum a\n`, 1],
  ['a carriage return', `${A}quorum a\r\n`, 2],
  ['a control character in a comment', '# \u0007\nquorum none\n', 1],
])('refuses %s, with its line', (_, text, line) => {
  expect(parsed(text)).toMatchObject({ ok: false, line })
})
