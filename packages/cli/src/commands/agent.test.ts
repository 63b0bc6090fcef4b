import { writeFileSync } from 'node:fs'
import { generateKey, writeKeyFile } from '@bailiwick/credentials'
import { expect, it } from 'vitest'
import { installation } from '../installation.fixture.ts'
import { bailiwick, temporaryFolder } from '../io.fixture.ts'

const id = 'spiffe://bailiwick.local/agent/reconciler/i1'

it.each<[string, string[], string]>([
  ['an agent without an instance', ['--agent', 'spiffe://bailiwick.local/agent'], '--agent'],
  ['a gateway with a path', ['--gateway', 'http://localhost:8425/mcp/notes'], '--gateway'],
  ['a gateway that is no address', ['--gateway', 'localhost:8425'], '--gateway'],
  ['a hold of a minute', ['--hold-seconds', '60'], '0 to 55'],
  ['a catalogue that is no pin file', ['--catalogue', 'FILE'], '--catalogue'],
  ['a key that does not exist', ['--key', '/nowhere/key.json'], 'key.json'],
])('refuses %s before it serves', async (_, words, said) => {
  using folder = temporaryFolder()
  installation(folder, 'http://localhost:8420')
  writeKeyFile(folder.path, 'agent', generateKey('agent'))
  writeFileSync(folder.at('pin.json'), '{"tools":[]}')
  const options = new Map([
    ['--gateway', 'http://localhost:8425'],
    ['--server', 'notes'],
    ['--agent', id],
    ['--key', folder.at('agent.json')],
    ['--data', folder.path],
  ])
  const [option = '', value = ''] = words
  options.set(option, value === 'FILE' ? folder.at('pin.json') : value)
  const { code, err } = await bailiwick(['agent', 'mcp', ...[...options].flat()])
  expect(code).toBe(2)
  expect(err).toContain(said)
})
