import { toolServerSchema } from '@bailiwick/contracts'
import { lookAlikes } from '@bailiwick/kit'
import { usableTools } from '@bailiwick/mcp'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type Manifest, manifestHash } from '../manifest/manifest.ts'
import { draftServer } from './draft-server.ts'
import type { ReadServer } from './read-server.ts'

function read(names: readonly string[], capabilities: object = { tools: {} }): ReadServer {
  const manifest: Manifest = {
    identity: { url: 'http://h/mcp' },
    server_info: null,
    instructions: null,
    tools: Object.fromEntries(names.map((name) => [name, { name, inputSchema: {} }])),
    prompts: {},
    templates: {},
  }
  return { era: 'legacy', manifest, hash: manifestHash(manifest), capabilities: { ...capabilities } }
}
const draft = (names: readonly string[], registered?: Parameters<typeof draftServer>[3]) =>
  draftServer('billing', 'http://h/mcp', read(names), registered)

it('drafts an entry that the registry takes, with the hash that the gateway compares', () => {
  const { entry, guesses } = draft(['read', 'delete'])
  expect(toolServerSchema.parse(entry)).toEqual(entry)
  expect(entry.manifest).toBe(read(['read', 'delete']).hash)
  expect(entry.tools).toEqual({
    read: { labels: ['reads_private', 'guessed'] },
    delete: { labels: ['destructive', 'writes', 'guessed'] },
  })
  expect(guesses.map(({ tool }) => tool)).toEqual(['read', 'delete'])
})

it('keeps what people said of a tool and of a method, and forgets a tool that is gone', () => {
  const registered = toolServerSchema.parse({
    id: 'billing',
    url: 'http://h/mcp',
    manifest: read([]).hash,
    tools: { read: { labels: ['fine'] }, gone: { labels: ['writes'] }, 'stream/open': { labels: [] } },
  })
  const { entry, guesses } = draft(['read', 'new_tool'], registered)
  expect(entry.tools).toEqual({
    read: { labels: ['fine'] },
    new_tool: { labels: ['writes', 'guessed'] },
    'stream/open': { labels: [] },
  })
  expect(guesses.map(({ tool }) => tool)).toEqual(['new_tool'])
})

it('leaves the entry of a server that says the same as it is', () => {
  const registered = { ...draft(['read', 'wipe']).entry, tools: { read: { labels: ['fine'] } } }
  expect(draft(['read', 'wipe'], registered)).toMatchObject({ entry: registered, guesses: [] })
})

it('describes the methods that the server has', () => {
  const capabilities = { tools: { listChanged: true }, resources: {}, prompts: {}, completions: {} }
  const { entry } = draftServer('s', 'stdio://s', read([], capabilities), undefined)
  expect(Object.keys(entry.tools)).toEqual(['resources/read', 'prompts/get', 'completion/complete', 'stream/open'])
})

it('leaves out names that collide, are reserved or are not letters, and says why', () => {
  const { entry, notes } = draft([
    'Read',
    'read',
    'bailiwick_pay',
    'Bailiwick_x',
    'r\u0435ad',
    'a b',
    '\u001b[2J',
    '__proto__',
    'ok',
  ])
  expect(Object.keys(entry.tools)).toEqual(['ok'])
  expect(notes).toHaveLength(8)
  expect(notes).toContain('tool "Read" is never shown nor called: it differs from "read" only in case')
  expect(notes).toContain(
    'tool "bailiwick_pay" is never shown nor called: names that begin with bailiwick_ are the gateway\'s own',
  )
  expect(notes.join('')).not.toContain('\u001b')
})

it('says which names look alike', () => {
  expect(lookAlikes(['read_file', 'read-file', 'delete', 'pay1', 'payl', 'modern', 'modem'])).toEqual([
    ['read_file', 'read-file'],
    ['pay1', 'payl'],
    ['modern', 'modem'],
  ])
})

it('describes a tool exactly if the gateway may show it, with labels in any case', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.oneof(fc.string(), fc.constantFrom('read', 'READ', 'bailiwick_x', 'constructor'))),
      (names) => {
        const { entry } = draft(names)
        expect(new Set(Object.keys(entry.tools))).toEqual(
          new Set([...usableTools(names)].filter((name) => name !== '__proto__')),
        )
        for (const { labels } of Object.values(entry.tools)) expect(labels.length).toBeGreaterThan(1)
      },
    ),
  )
})
