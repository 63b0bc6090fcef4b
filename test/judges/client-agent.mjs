// MCP clients of others that act as an agent by `mcpFetch`. Each calls the tools one after the other, and says what its model would read.
// Usage: client-agent.mjs mcp|ai-sdk URL GRANT TOOL…   In the environment: ISSUER, INSTALLATION, AGENT, KEY (a file's folder and name).
import { randomBytes } from 'node:crypto'
import { createAgent, mcpFetch } from '@bailiwick/agent'
import { readKeyFile } from '@bailiwick/credentials'

const [framework = '', url = '', grantId = '', ...tools] = process.argv.slice(2)
const { ISSUER = '', INSTALLATION = '', AGENT = '', KEY = '' } = process.env
const [folder = '', name = ''] = KEY.split(':')
const agent = createAgent({
  agentId: AGENT.slice(0, AGENT.lastIndexOf('/')),
  instance: AGENT.slice(AGENT.lastIndexOf('/') + 1),
  key: readKeyFile(folder, name, 'agent'),
  installation: INSTALLATION,
  baseUrl: ISSUER,
  now: () => Date.now(),
  random: (length) => randomBytes(length),
})
const fetch = mcpFetch(agent, { grantId }, url)

/** The SDK itself: no model. */
async function mcp() {
  const { Client, StreamableHTTPClientTransport } = await import('@modelcontextprotocol/client')
  const client = new Client({ name: 'judge', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } })
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { fetch }))
  const said = []
  for (const tool of tools)
    said.push(await client.callTool({ name: tool, arguments: {} }).catch(({ code, data }) => ({ code, data })))
  await client.close()
  return said
}

/** The AI SDK's loop, with a model that plays a script. */
async function aiSdk() {
  const { generateText, isStepCount } = await import('ai')
  const { MockLanguageModelV4 } = await import('ai/test')
  const { createMCPClient } = await import('@ai-sdk/mcp')
  const client = await createMCPClient({ transport: { type: 'http', url, fetch } })
  const usage = { inputTokens: { total: 1 }, outputTokens: { total: 1 } }
  let turn = 0
  const model = new MockLanguageModelV4({
    async doGenerate() {
      const toolName = tools[turn++]
      return toolName === undefined
        ? { content: [{ type: 'text', text: 'done' }], finishReason: { unified: 'stop' }, usage, warnings: [] }
        : {
            content: [{ type: 'tool-call', toolCallId: `call_${turn}`, toolName, input: '{}' }],
            finishReason: { unified: 'tool-calls' },
            usage,
            warnings: [],
          }
    },
  })
  const stopWhen = isStepCount(tools.length + 1)
  const { steps } = await generateText({ model, tools: await client.tools(), prompt: 'go', stopWhen })
  await client.close()
  return steps
    .flatMap(({ content }) => content)
    .filter(({ type }) => type === 'tool-result' || type === 'tool-error')
    .map(({ output, error }) => output ?? { code: error.code, data: error.data, message: String(error) })
}

const clients = { mcp, 'ai-sdk': aiSdk }
console.log(JSON.stringify(await clients[framework]().catch(({ code, message }) => ({ code, message }))))
