// A server of tools (MCP 2025-11-25, standard input and output) without an SDK: three tools over notes in memory.
import { createInterface } from 'node:readline'

const notes = new Map([['welcome', 'This is a note.']])
/** Calls of tail_notes, which go on until their client or its connection ends them: what tells each of a new note. */
const readers = new Map()
const text = { type: 'string' }
const tools = [
  {
    name: 'read_note',
    description: 'Reads a note.',
    inputSchema: { type: 'object', properties: { name: text }, required: ['name'] },
    run: ({ name }) => notes.get(name) ?? 'There is no such note.',
  },
  {
    name: 'tail_notes',
    description: 'Reads each note as it is written, until the call is cancelled.',
    inputSchema: { type: 'object' },
    run: (_, { id, progressToken }) => {
      let progress = 0
      const tell = (message) => {
        if (progressToken !== undefined)
          say({ method: 'notifications/progress', params: { progressToken, progress: ++progress, message } })
      }
      readers.set(id, tell)
      tell('Waiting for new notes.')
    },
  },
  {
    name: 'write_note',
    description: 'Writes a note.',
    inputSchema: { type: 'object', properties: { name: text, text }, required: ['name', 'text'] },
    run: ({ name, text }) => {
      notes.set(name, text)
      for (const tell of readers.values()) tell(`${name}: ${text}`)
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
  'tools/call': ({ name, arguments: args = {}, _meta: { progressToken } = {} }, id) => {
    const tool = tools.find((each) => each.name === name)
    if (tool === undefined) throw { code: -32602, message: 'There is no such tool.' }
    const said = tool.run(args, { id, progressToken })
    return said === undefined ? undefined : { content: [{ type: 'text', text: said }] }
  },
}

function say(message) {
  console.log(JSON.stringify({ jsonrpc: '2.0', ...message }))
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params = {} } = JSON.parse(line)
  if (method === 'notifications/cancelled') readers.delete(params.requestId)
  if (id === undefined) continue
  try {
    if (!Object.hasOwn(methods, method)) throw { code: -32601, message: 'Method not found' }
    const result = methods[method](params, id)
    if (result !== undefined) say({ id, result })
  } catch (error) {
    say({ id, error: { code: error.code ?? -32603, message: error.message } })
  }
}
