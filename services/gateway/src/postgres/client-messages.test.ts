import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { ClientMessages, type Statement } from './client-messages.ts'
import { cstring, messageOf } from './messages.ts'

function reader(decisionId = 'dec_1') {
  const statements: Statement[] = []
  let cancels = 0
  const messages = new ClientMessages({
    decisionId,
    onStatement: (statement) => statements.push(statement),
    onCancel: () => cancels++,
  })
  return { messages, statements, cancels: () => cancels }
}
const sha = (...parts: (string | Buffer)[]) =>
  createHash('sha256')
    .update(Buffer.concat(parts.map(Buffer.from)))
    .digest()

describe('what a client sends', () => {
  it('goes on as it came, however it is cut', () => {
    const stream = Buffer.concat([
      messageOf('Q', cstring('SELECT 1')),
      messageOf('P', cstring('name'), cstring('SELECT $1'), Buffer.from([0, 0])),
      messageOf('d', Buffer.from('copied')),
      messageOf('S'),
      messageOf('X'),
    ])
    for (const size of [1, 2, 7, stream.length]) {
      const { messages, statements } = reader()
      const passed: Buffer[] = []
      for (let at = 0; at < stream.length; at += size) passed.push(messages.read(stream.subarray(at, at + size)))
      expect(Buffer.concat(passed)).toEqual(stream)
      expect(statements.map(({ number, text }) => [number, text])).toEqual([
        [1, 'SELECT 1'],
        [2, 'SELECT $1'],
      ])
    }
  })

  it('is named by a hash of the decision and of each statement in its order', () => {
    const { messages } = reader('dec_7')
    const begin = sha('bailiwick-postgres-statements-v1', '\0', 'dec_7')
    expect(messages.hash).toBe(begin.toString('base64url'))
    messages.read(Buffer.concat([messageOf('Q', cstring('one')), messageOf('Q', cstring('two'))]))
    expect(messages.hash).toBe(sha(sha(begin, sha('one')), sha('two')).toString('base64url'))
    expect(reader('dec_8').messages.hash).not.toBe(reader('dec_7').messages.hash)
  })

  it('does not go on where it asks to cancel', () => {
    const { messages, statements, cancels } = reader()
    const stream = Buffer.concat([messageOf('S'), messageOf('!'), messageOf('Q', cstring('SELECT 1'))])
    const passed = [...stream].map((byte) => messages.read(Uint8Array.of(byte)))
    expect(Buffer.concat(passed)).toEqual(Buffer.concat([messageOf('S'), messageOf('Q', cstring('SELECT 1'))]))
    expect([statements.length, cancels()]).toEqual([1, 1])
  })
})

it.each<[string, Buffer]>([
  ['a call of a function by its number', messageOf('F', Buffer.alloc(8))],
  ['a password', messageOf('p', cstring('x'))],
  ['a message of a server', messageOf('Z', Buffer.from('I'))],
  ['a message without a type', Buffer.alloc(5)],
  ['a start-up', Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])],
  ['a statement without its end', messageOf('Q', Buffer.from('SELECT 1'))],
  ['a statement with another one behind it', messageOf('Q', cstring('a'), cstring('b'))],
  ['a statement that is prepared without its end', messageOf('P', cstring('name'), Buffer.from('x'))],
  ['a statement of more than a mebibyte', Buffer.from('Q\x00\x10\x00\x05', 'latin1')],
  ['a message of more than 64 MiB', Buffer.from('d\x04\x00\x00\x05', 'latin1')],
  ['a negative length', Buffer.from('Q\xff\xff\xff\xff', 'latin1')],
  ['a cancel that says something', messageOf('!', Buffer.from('x'))],
])('%s is refused', (_, bytes) => {
  const { messages } = reader()
  expect(() => messages.read(Buffer.concat([messageOf('S'), bytes]))).toThrow(
    expect.objectContaining({ code: 'request_malformed' }),
  )
})
