import { mkdtempDisposableSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemRandom } from '@bailiwick/kit'
import { openSecrets } from '@bailiwick/relay'
import { expect, it } from 'vitest'
import { HttpFixture } from '../fixture/http-server.fixture.ts'
import { manifestHash, parseManifest } from '../manifest/manifest.ts'
import { pinServer } from './pin-server.ts'

const notes = join(import.meta.dirname, '../../../../examples/mcp-servers/notes/server.mjs')

function prepare(mcp: object, http: object = {}) {
  const folder = mkdtempDisposableSync(join(tmpdir(), 'bailiwick-pin-'))
  const config = join(folder.path, 'gateway.yaml')
  writeFileSync(config, JSON.stringify({ mcp, http }))
  const env = { PATH: process.env.PATH }
  return {
    pin: (name: string) => pinServer({ name, config, env, secrets: openSecrets(), random: systemRandom }),
    file: (name: string) => join(folder.path, `${name}.pin.json`),
    [Symbol.dispose]: () => folder.remove(),
  }
}

it('reads a server, and says what changed since the last time', async () => {
  await using server = await HttpFixture.start()
  using at = prepare({ billing: { url: server.url } })
  const first = await at.pin('billing')
  expect(first.server).toMatchObject({ id: 'billing', url: server.url, tools: { read: { labels: ['unlabelled'] } } })
  const pinned = parseManifest(JSON.parse(readFileSync(at.file('billing'), 'utf8')), '')
  expect(manifestHash(pinned)).toBe(first.server.manifest)
  expect((await at.pin('billing')).notes).toContain('nothing changed since the last pin')
  const [read] = server.state.tools
  if (read !== undefined) read.description = 'Does something else.'
  server.state.tools.push({ name: 'a/b', description: '', inputSchema: {} })
  const again = await at.pin('billing')
  expect(again.server.manifest).not.toBe(first.server.manifest)
  expect(again.notes).toEqual([
    'changed since the last pin: tools a/b: new',
    'changed since the last pin: tools read: changed',
    'never shown, for its name: a/b',
    expect.stringMatching(/^The pin is in .*labels/),
    expect.stringContaining('registry apply'),
  ])
  expect(Object.keys(again.server.tools)).not.toContain('a/b')
})

it('reads a server of the older revision that is started by a command', async () => {
  using at = prepare({ notes: { command: [process.execPath, notes] } })
  const { server, entry } = await at.pin('notes')
  expect(server).toMatchObject({ id: 'notes', url: 'stdio://notes' })
  expect(Object.keys(server.tools)).toEqual(['read_note', 'tail_notes', 'write_note'])
  expect(entry).toContain(`manifest: ${server.manifest}`)
  const { identity } = JSON.parse(readFileSync(at.file('notes'), 'utf8'))
  // The program and the file that it runs are part of what is approved.
  expect(Object.keys(identity.files)).toEqual([process.execPath, notes])
})

it('makes the entry of an HTTP API from its table of operations', async () => {
  const operations = { read: { request: 'GET /invoices/{invoice}' }, create: { request: 'POST /invoices' } }
  using at = prepare({}, { erp: { url: 'https://erp.example/v1', operations }, plain: { url: 'https://erp.example' } })
  const { server, entry } = await at.pin('erp')
  const unlabelled = { labels: ['unlabelled'] }
  expect(server).toEqual({
    id: 'erp',
    url: 'https://erp.example/v1',
    manifest: expect.stringMatching(/^[\w-]{43}$/),
    tools: { read: unlabelled, create: unlabelled },
  })
  expect(entry).toContain(`manifest: ${server.manifest}`)
  await expect(at.pin('plain')).rejects.toThrow('config_invalid')
})

it('names the servers that there are', async () => {
  using at = prepare({ notes: { command: [process.execPath, notes] } })
  await expect(at.pin('nots')).rejects.toMatchObject({
    code: 'config_invalid',
    detail: expect.stringContaining('notes'),
  })
})
