// A client of the older SDK, which knows the revisions until 2025-11-25: lists and calls, and says what it got.
// Usage: client-v1.mjs (URL | -- COMMAND ARGUMENT…) TOOL [ARGUMENTS]
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'

const [to = '', tool = '', given = '{}'] = process.argv.slice(2)
const transport = to.startsWith('http')
  ? new StreamableHTTPClientTransport(new URL(to))
  : new StdioClientTransport({ command: process.execPath, args: JSON.parse(to), stderr: 'inherit', env: process.env })
const client = new Client({ name: 'judge-v1', version: '1.0.0' }, { capabilities: {} })
await client.connect(transport)
const { tools } = await client.listTools()
const answer = await client
  .callTool({ name: tool, arguments: JSON.parse(given) })
  .catch(({ code, data, message }) => ({ error: { code, data, message } }))
console.log(JSON.stringify({ tools: tools.map(({ name }) => name), answer }))
await client.close()
