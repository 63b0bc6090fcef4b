// A server of tools (MCP 2025-11-25, standard input and output) without an SDK: two tools over notes in memory.
import { createInterface } from 'node:readline'

const notes = new Map([['welcome', 'This is a note.']])
const text = { type: 'string' }
const tools = [
  {
    name: 'read_note',
    description: 'Reads a note.',
    inputSchema: { type: 'object', properties: { name: text }, required: ['name'] },
    run: ({ name }) => notes.get(name) ?? 'There is no such note.',
  },
  {
    name: 'write_note',
    description: 'Writes a note.',
    inputSchema: { type: 'object', properties: { name: text, text }, required: ['name', 'text'] },
    run: ({ name, text }) => {
      notes.set(name, text)
      return 'Written.'
    },
  },
]

const methods = {
  initialize: () => ({
    protocolVersion: '2025-11-25',
    capabilities: { tools: {} },
    serverInfo: { name: 'notes', version: '1.0.0' },
  }),
  ping: () => ({}),
  'tools/list': () => ({ tools: tools.map(({ run, ...tool }) => tool) }),
  'tools/call': ({ name, arguments: args = {} }) => {
    const tool = tools.find((each) => each.name === name)
    if (tool === undefined) throw { code: -32602, message: 'There is no such tool.' }
    return { content: [{ type: 'text', text: tool.run(args) }] }
  },
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params = {} } = JSON.parse(line)
  if (id === undefined) continue
  let answer
  try {
    if (!Object.hasOwn(methods, method)) throw { code: -32601, message: 'Method not found' }
    answer = { result: methods[method](params) }
  } catch (error) {
    answer = { error: { code: error.code ?? -32603, message: error.message } }
  }
  console.log(JSON.stringify({ jsonrpc: '2.0', id, ...answer }))
}
