// An MCP client whose credential and proofs are those of @bailiwick/agent, for the client scenarios of the conformance suite.
// Usage: dpop-client.ts URL
import { createAgent } from '@bailiwick/agent'
import { generateKey } from '@bailiwick/credentials'
import { systemClock, systemRandom } from '@bailiwick/kit'

const url = new URL(process.argv.at(-1) ?? '')
const read = async <T>(address: string) => (await (await fetch(address)).json()) as T

const { authorization_servers } = await read<{ authorization_servers: string[] }>(
  `${url.origin}/.well-known/oauth-protected-resource${url.pathname}`,
)
const [issuer = ''] = authorization_servers
const { token_endpoint } = await read<{ token_endpoint: string }>(`${issuer}/.well-known/oauth-authorization-server`)
const agent = createAgent({
  agentId: 'spiffe://example.org/agent/judged',
  instance: 'i1',
  key: generateKey('agent'),
  installation: 'ins_0123456789abcdef',
  baseUrl: issuer,
  endpoints: { issuer, token: token_endpoint },
  now: () => systemClock.now(),
  random: systemRandom,
})

const version = process.env.MCP_CONFORMANCE_PROTOCOL_VERSION ?? '2025-11-25'
const clientInfo = { name: 'bailiwick-agent', version: '1.0.0' }
const messages = [
  { id: 1, method: 'initialize', params: { protocolVersion: version, capabilities: {}, clientInfo } },
  { method: 'notifications/initialized' },
  { id: 2, method: 'tools/list', params: {} },
]
for (const message of messages) {
  const answer = await agent.fetch(
    url,
    {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': version,
      },
      body: JSON.stringify({ jsonrpc: '2.0', ...message }),
    },
    { grant: { grantId: 'grt_0123456789abcdefghij', resource: url.href } },
  )
  console.log(message.method, answer.status, await answer.text())
}
