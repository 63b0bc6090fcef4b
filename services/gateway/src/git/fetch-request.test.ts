import { describe, expect, it } from 'vitest'
import { readFetchRequest } from './fetch-request.ts'
import { flushPacket, packetOf } from './pkt-line.ts'

const id = '1'.repeat(40)
const mark = Buffer.from('0001')
const sent = (...packets: (Buffer | string)[]) =>
  Buffer.concat(packets.map((each) => (typeof each === 'string' ? packetOf(each) : each)))
const fetch2 = (...args: (Buffer | string)[]) =>
  sent('command=fetch', 'agent=git/2', 'object-format=sha1', mark, ...args, flushPacket)

it.each<[string, '0' | '1' | '2', Buffer, string]>([
  [
    'what is wanted',
    '0',
    sent(`want ${id} multi_ack_detailed side-band-64k agent=git/2\n`, `want ${id}\n`, flushPacket, 'done\n'),
    'fetch',
  ],
  ['what the client has', '1', sent(`want ${id} ofs-delta\n`, flushPacket, `have ${id}\n`, flushPacket), 'fetch'],
  ['a part of the history', '0', sent(`want ${id} x\n`, `shallow ${id}`, 'deepen 1\n', flushPacket), 'fetch'],
  [
    'refs',
    '2',
    sent('command=ls-refs\n', 'agent=git/2', mark, 'peel', 'symrefs', 'ref-prefix refs/heads/', flushPacket),
    'ls-refs',
  ],
  ['refs without arguments', '2', sent('command=ls-refs\n', flushPacket), 'ls-refs'],
  [
    'objects',
    '2',
    fetch2('thin-pack', `want ${id}\n`, `have ${id}`, 'filter blob:none', 'deepen-since 1700000000', 'done'),
    'fetch',
  ],
  ['sizes of objects', '2', sent('command=object-info', mark, 'size', `oid ${id}`, flushPacket), 'object-info'],
])('reads %s, in version %s', (_, version, bytes, command) => {
  expect(readFetchRequest(bytes, version)).toBe(command)
})

describe.each<[string, string, '0' | '2', Buffer]>([
  ['nothing', 'git_request_malformed', '2', Buffer.alloc(0)],
  ['no end', 'git_request_malformed', '2', sent('command=ls-refs')],
  [
    'a second command',
    'git_feature_refused',
    '2',
    Buffer.concat([fetch2('done'), sent('command=ls-refs', flushPacket)]),
  ],
  ['a command among the arguments', 'git_feature_refused', '2', fetch2('command=ls-refs')],
  ['a second mark', 'git_feature_refused', '2', fetch2(mark, 'done')],
  ['an unknown command', 'git_feature_refused', '2', sent('command=bundle-uri', flushPacket)],
  ['a command of the prototype', 'git_feature_refused', '2', sent('command=constructor', flushPacket)],
  [
    'an option for the server',
    'git_feature_refused',
    '2',
    sent('command=fetch', 'server-option=x', mark, 'done', flushPacket),
  ],
  ['a pack from elsewhere', 'git_feature_refused', '2', fetch2('packfile-uris https', 'done')],
  ['a push', 'git_request_malformed', '0', sent(`${id} ${id} refs/heads/main\0 report-status`, flushPacket)],
  ['version 2 where 0 was said', 'git_request_malformed', '0', fetch2('done')],
  ['version 0 where 2 was said', 'git_request_malformed', '2', sent(`want ${id} x`, flushPacket, 'done')],
  ['nothing that is wanted', 'git_request_malformed', '0', sent(flushPacket, 'done')],
  [
    'a line after the wants that is none',
    'git_request_malformed',
    '0',
    sent(`want ${id} x`, flushPacket, `want ${id}`),
  ],
  ['a want that is no id', 'git_request_malformed', '0', sent('want refs/heads/main x', flushPacket)],
])('%s', (_, refused, version, bytes) => {
  it(`is refused: ${refused}`, () => {
    expect(readFetchRequest(bytes, version)).toMatchObject({ refused })
  })
})
