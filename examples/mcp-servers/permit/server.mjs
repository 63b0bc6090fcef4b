// A server of tools that do nothing (MCP 2025-11-25, standard input and output): `node server.mjs Bash apply_patch`.
// A client's own tools, such as its shell, run in the client. Behind the gateway, this server stands for them: a hook of the client calls the
// tool of the same name here first, so that a task has to allow it and the log has it.
import { createInterface } from 'node:readline'

const tools = process.argv.slice(2).map((name) => ({
  name,
  description: `Stands for the tool ${name} of a client. It does nothing.`,
  inputSchema: { type: 'object' },
}))

const methods = {
  initialize: () => ({
    protocolVersion: '2025-11-25',
    capabilities: { tools: {} },
    serverInfo: { name: 'permit', version: '1.0.0' },
  }),
  ping: () => ({}),
  'tools/list': () => ({ tools }),
  'tools/call': ({ name }) => {
    if (!tools.some((tool) => tool.name === name)) throw { code: -32602, message: 'There is no such tool.' }
    return { content: [{ type: 'text', text: 'Permitted.' }] }
  },
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params = {} } = JSON.parse(line)
  if (id === undefined) continue
  const answer = { jsonrpc: '2.0', id }
  try {
    if (!Object.hasOwn(methods, method)) throw { code: -32601, message: 'Method not found' }
    console.log(JSON.stringify({ ...answer, result: methods[method](params) }))
  } catch (error) {
    console.log(JSON.stringify({ ...answer, error: { code: error.code ?? -32603, message: error.message } }))
  }
}
