import fc from 'fast-check'
import { expect, it } from 'vitest'
import { parse } from 'yaml'
import { addEntry, rawServers } from './add-entry.ts'

const entry = { url: 'http://127.0.0.1:3001/mcp', pin: 'new.pin.json' }
const added = (text: string | undefined) => addEntry(text, 'new', entry, 'gateway.yaml')

it('begins a file', () => {
  expect(parse(added(undefined))).toEqual({ mcp: { new: entry } })
  expect(parse(added('# nothing yet\n'))).toEqual({ mcp: { new: entry } })
  expect(added('# nothing yet\n')).toContain('# nothing yet')
})

const written = `# who wrote this
point: gateway   # its name
mcp:               # each at /mcp/<name>
    reports: { command: [npx, -y, "@x/y"] }   # files

    billing:
        url: 'http://b/mcp'
        # the secret of billing
        inject: { headers: { authorization: "Bearer \${secret:file:/run/b}" } }
# the end of the servers
origins: []
`

it('puts lines behind the last server, and changes no other byte', () => {
  const made = added(written)
  const lines = ['    new:', '      url: http://127.0.0.1:3001/mcp', '      pin: new.pin.json', '']
  const at = written.indexOf('# the end')
  expect(made).toBe(written.slice(0, at) + lines.join('\n') + written.slice(at))
})

it('goes on behind a last line without its end', () => {
  expect(added('mcp:\n  a: { url:   http://a/ }')).toBe(
    'mcp:\n  a: { url:   http://a/ }\n  new:\n    url: http://127.0.0.1:3001/mcp\n    pin: new.pin.json\n',
  )
})

it.each([
  ['the last line without its end', 'mcp:\n  a: { url: http://a/ }', 'a: { url: http://a/ }'],
  ['a comment at the end', 'mcp:\n  a: { url: http://a/ } # the end', '# the end'],
  ['line ends of Windows', 'mcp:\r\n  a:\r\n    url: http://a/\r\norigins: []\r\n', 'origins: []'],
  ['a flow map', 'mcp: { a: { url: http://a/ } } # servers\n', '# servers'],
  ['JSON', '{"mcp":{"a":{"url":"http://a/"}}}', '"a"'],
  ['no servers', 'point: p # its name\n', '# its name'],
  ['an empty member', '# c\nmcp:\npoint: p\n', '# c'],
  ['a text of several lines', 'mcp:\n  a:\n    url: http://a/\n    cwd: |\n      x\n      y\n\n# c\n', '# c'],
  ['a last server without anything', 'mcp:\n  a:\n', 'a:'],
])('extends %s', (_, text, kept) => {
  const made = added(text)
  const before = parse(text)
  expect(parse(made)).toEqual({ ...before, mcp: { ...before.mcp, new: entry } })
  expect(made).toContain(kept)
  expect(made.includes('\r\n')).toBe(text.includes('\r\n'))
})

it('keeps all that was there, and every comment', () => {
  const name = fc.stringMatching(/^[a-z][a-z0-9_-]{0,8}$/)
  const comment = fc.stringMatching(/^[a-z]{1,12}$/)
  const server = fc.record({
    name,
    above: fc.option(comment),
    beside: fc.option(comment),
    flow: fc.boolean(),
    below: fc.constantFrom('', '\n', '\n\n'),
  })
  fc.assert(
    fc.property(
      fc.uniqueArray(server, { selector: (each) => each.name, minLength: 1, maxLength: 4 }),
      fc.constantFrom(1, 2, 4),
      fc.constantFrom('', 'point: p\n', '# end\n', '\norigins: [] # o\n'),
      (servers, indent, rest) => {
        fc.pre(servers.every((each) => each.name !== 'new'))
        const pad = ' '.repeat(indent)
        const text = `mcp:\n${servers
          .map(({ name: id, above, beside, flow, below }) => {
            const mark = beside === null ? '' : ` # ${beside}`
            const body = flow ? `${id}: { url: http://a/ }${mark}` : `${id}:${mark}\n${pad}${pad}url: http://a/`
            return `${above === null ? '' : `${pad}# ${above}\n`}${pad}${body}\n${below}`
          })
          .join('')}${rest}`
        const made = added(text)
        const before = parse(text)
        expect(parse(made)).toEqual({ ...before, mcp: { ...before.mcp, new: entry } })
        // Taking the new lines out gives the old text back.
        const lines = made.split('\n')
        const at = lines.indexOf(`${pad}new:`)
        expect(lines.toSpliced(at, 3).join('\n')).toBe(text)
      },
    ),
  )
})

it.each([
  ['no YAML', 'mcp: [', 'gateway.yaml: '],
  ['a list of servers', 'mcp: [a]', 'expected a map'],
  ['a list', '- a', 'expected a map'],
  ['an alias', 'a: &a 1\nmcp: { b: *a }', 'an alias'],
])('refuses %s', (_, text, said) => {
  expect(() => added(text)).toThrow(said)
})

it('reads the servers as they are written', () => {
  expect(Object.keys(rawServers(written, 'gateway.yaml'))).toEqual(['reports', 'billing'])
  expect(rawServers('', 'gateway.yaml')).toEqual({})
})
