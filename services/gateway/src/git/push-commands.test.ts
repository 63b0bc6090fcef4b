import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { flushPacket, packetOf } from './pkt-line.ts'
import { endOfCommands, isPlainRef, type PushCommands, readPushCommands } from './push-commands.ts'

const [one, two, none] = ['1', '2', '0'].map((digit) => digit.repeat(40)) as [string, string, string]
const usual = 'report-status side-band-64k agent=git/2.39.5'
const ref = 'refs/heads/agent/x'
const first = (text = `${one} ${two} ${ref}`, capabilities = usual) => packetOf(`${text}\0 ${capabilities}`)
const list = (...packets: (Buffer | string)[]) =>
  Buffer.concat([...packets.map((each) => (typeof each === 'string' ? packetOf(each) : each)), flushPacket])

it('reads what git sends', () => {
  expect(readPushCommands(list(`shallow ${one}\n`, first(), `${none} ${two} refs/tags/v1\n`))).toEqual({
    shallow: 1,
    capabilities: usual.split(' '),
    commands: [
      { old: one, new: two, ref },
      { old: none, new: two, ref: 'refs/tags/v1' },
    ],
  })
})

describe.each<[string, string, Buffer]>([
  // Lengths
  ['nothing', 'git_request_malformed', Buffer.alloc(0)],
  ['no command', 'git_request_malformed', list()],
  ['no end', 'git_request_malformed', first()],
  ['two ends', 'git_request_malformed', list(first(), flushPacket)],
  ['an end before the command', 'git_request_malformed', list(flushPacket, first())],
  ['a second list', 'git_request_malformed', Buffer.concat([list(first()), list(first())])],
  ['a delimiter', 'git_request_malformed', list(first(), Buffer.from('0001'))],
  ['an end of a response', 'git_request_malformed', list(first(), Buffer.from('0002'))],
  ['a packet without content', 'git_request_malformed', list(first(), Buffer.from('0004'))],
  ['a length below four', 'git_request_malformed', list(first(), Buffer.from('0003'))],
  ['a length in capitals', 'git_request_malformed', list(first(), Buffer.from('000Aabcdef'))],
  ['a length with a sign', 'git_request_malformed', Buffer.concat([Buffer.from('+'), list(first())])],
  ['a length beyond the longest', 'git_request_malformed', Buffer.from(`fff1${'a'.repeat(65_517)}0000`)],
  [
    'a length that reaches into the next command',
    'git_request_malformed',
    Buffer.from(list(first(), `${none} ${one} ${ref}`).toString('latin1').replace(/^..../, '00ff'), 'latin1'),
  ],
  [
    'more than 64 KiB',
    'git_request_malformed',
    list(...Array.from({ length: 1300 }, () => `shallow ${one}\n`), first()),
  ],
  // The command
  ['no capabilities', 'git_request_malformed', list(`${one} ${two} ${ref}`)],
  ['capabilities twice', 'git_request_malformed', list(first(`${one} ${two} ${ref}\0 ${usual}`))],
  ['capabilities at a later command', 'git_request_malformed', list(first(), first())],
  ['a ref that ends before its end', 'git_request_malformed', list(first(`${one} ${two} refs/heads/main\0${ref}`))],
  ['a line end in the ref', 'git_request_malformed', list(first(`${one} ${two} ${ref}\n`))],
  [
    'two lines in one packet',
    'git_request_malformed',
    list(first(), `${one} ${two} ${ref}\n${one} ${two} refs/heads/main`),
  ],
  ['two line ends', 'git_request_malformed', list(first(), `${one} ${two} ${ref}\n\n`)],
  ['a carriage return', 'git_request_malformed', list(first(), `${one} ${two} ${ref}\r\n`)],
  ['two spaces', 'git_request_malformed', list(first(`${one}  ${two} ${ref}`))],
  ['a space in the ref', 'git_request_malformed', list(first(`${one} ${two} ${ref} x`))],
  ['a byte beyond ASCII', 'git_request_malformed', list(first(`${one} ${two} ${ref}é`))],
  ['an id in capitals', 'git_request_malformed', list(first(`${'A'.repeat(40)} ${two} ${ref}`))],
  ['a short id', 'git_request_malformed', list(first(`${one.slice(1)} ${two} ${ref}`))],
  ['ids of another hash', 'git_request_malformed', list(first(`${'1'.repeat(64)} ${'2'.repeat(64)} ${ref}`))],
  ['short ids of the other hash', 'git_request_malformed', list(first(undefined, `${usual} object-format=sha256`))],
  ['neither before nor after', 'git_request_malformed', list(first(`${none} ${none} ${ref}`))],
  ['a command that is none', 'git_request_malformed', list(first(), 'delete refs/heads/main')],
  ['shallow after the command', 'git_request_malformed', list(first(), `shallow ${one}`)],
  // What is not decided on
  [
    'a signed push',
    'git_feature_refused',
    list(`push-cert\0 ${usual}`, 'certificate version 0.1\n', `${one} ${two} ${ref}\n`),
  ],
  ['push options', 'git_feature_refused', list(first(undefined, `${usual} push-options`))],
  ['an unknown capability', 'git_feature_refused', list(first(undefined, `${usual} allow-anything`))],
  ['a capability twice', 'git_feature_refused', list(first(undefined, `${usual} ${usual}`))],
  // The ref
  ...[
    ['climbs', 'refs/heads/agent/../main'],
    ['has a segment of a dot', 'refs/heads/agent/./x'],
    ['has an empty segment', 'refs/heads/agent//x'],
    ['ends in a slash', 'refs/heads/agent/'],
    ['begins with a slash', '/refs/heads/agent/x'],
    ['is no ref', 'HEAD'],
    ['is a short name', 'agent/x'],
    ['has one segment', 'refs/heads'],
    ['begins in capitals', 'REFS/heads/agent/x'],
    ['has a backslash', 'refs/heads/agent\\..\\main'],
    ['has an escape', 'refs/heads/agent/%2e%2e/main'],
    ['is a lock', 'refs/heads/agent/x.LOCK'],
    ['names a reflog', 'refs/heads/agent/x@{1}'],
    ['names a parent', 'refs/heads/agent/x^'],
    ['is a pattern', 'refs/heads/agent/*'],
    ['begins with a dot', 'refs/heads/agent/.x'],
    ['ends in a dot', 'refs/heads/agent/x.'],
    ['begins with a dash', 'refs/heads/agent/-x'],
    ['is too long', `refs/heads/agent/${'x'.repeat(250)}`],
  ].map(([what, name]): [string, string, Buffer] => [
    `a ref that ${what}`,
    'git_ref_refused',
    list(first(`${one} ${two} ${name}`)),
  ]),
])('%s', (_, refused, bytes) => {
  it(`is refused: ${refused}`, () => {
    expect(readPushCommands(bytes)).toMatchObject({ refused })
  })
})

const segment = fc.stringMatching(/^[A-Za-z0-9_]{1,10}$/)
const plainRef = fc.array(segment, { minLength: 2, maxLength: 5 }).map((parts) => ['refs', ...parts].join('/'))
const id = fc.stringMatching(/^[0-9a-f]{39}[1-9a-f]$/)
const pushes = fc.record({
  shallow: fc.array(id, { maxLength: 3 }),
  commands: fc.array(fc.record({ old: id, new: id, ref: plainRef }), { minLength: 1, maxLength: 5 }),
})
type Written = { shallow: string[]; commands: PushCommands['commands'] }
const write = ({ shallow, commands }: Written) =>
  list(
    ...shallow.map((each) => `shallow ${each}\n`),
    ...commands.map(({ old, new: next, ref: name }, n) =>
      n === 0 ? first(`${old} ${next} ${name}`) : `${old} ${next} ${name}`,
    ),
  )

it('reads exactly the commands that were written (V1)', () => {
  fc.assert(
    fc.property(pushes, (push) => {
      expect(readPushCommands(write(push))).toMatchObject({ commands: push.commands, shallow: push.shallow.length })
    }),
  )
})

it('finds the end of the commands however they are split on the way, and nothing beyond it', () => {
  fc.assert(
    fc.property(pushes, fc.uint8Array({ maxLength: 40 }), fc.integer({ min: 1, max: 60 }), (push, pack, step) => {
      const commands = write(push)
      const all = Buffer.concat([commands, pack])
      let from = 0
      for (let length = step; ; length += step) {
        const found = endOfCommands(all.subarray(0, length), from)
        if ('end' in found) {
          expect(found.end).toBe(commands.length)
          return
        }
        if ('refused' in found || length > all.length) throw new Error('not found')
        from = found.more
      }
    }),
  )
})

it('takes no ref that git itself would not, or that is no plain path', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'ab./-@{}~^:?*[\\ \n\0é'), maxLength: 20 }), (text) => {
      const name = `refs/heads/${text}`
      if (!isPlainRef(name)) return
      expect(name).toMatch(/^[A-Za-z0-9_+=,#@./-]+$/)
      expect(name).not.toMatch(/\.\.|\/\.|\/\/|\.$|\/$|@\{/)
    }),
  )
})
