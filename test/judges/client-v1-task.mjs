// A client of the older SDK that calls a tool as a task, asks how it is until it ends, and reads its result.
// Usage: client-v1-task.mjs URL TOOL [ARGUMENTS]
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'

const [url = '', name = '', given = '{}'] = process.argv.slice(2)
const client = new Client({ name: 'judge-v1-task', version: '1.0.0' }, { capabilities: {} })
await client.connect(new StreamableHTTPClientTransport(new URL(url)))
await client.listTools()
const { tasks } = client.experimental
const seen = []
let id
for await (const message of tasks.callToolStream({ name, arguments: JSON.parse(given) })) {
  seen.push(message.type === 'taskStatus' ? message.task.status : message.type)
  if (message.type === 'taskCreated') id = message.task.taskId
  if (message.type === 'error') seen.push(String(message.error))
  if (message.type === 'result') seen.push(message.result)
}
const { tasks: listed } = await tasks.listTasks()
console.log(JSON.stringify({ seen, isListed: listed.some(({ taskId }) => taskId === id) }))
await client.close()
