import { changeMembers, isObject, type JsonObject, memberSpan, metaOf } from '@bailiwick/mcp'
import type { Call } from './held.ts'
import { completeTask, requestAccess } from './own-tools.ts'

export const serverInfo = { name: 'bailiwick-agent', version: '0.1.0' }

/** What the sidecar says of itself before there is a task. `tells`: whether the client can be told that the list of tools is another. */
export function helloOf(server: string, tells: boolean): JsonObject {
  const instructions = `The tools of "${server}" need a human's permission. Call ${requestAccess} before you use them, and ${completeTask} when you are done.`
  return { capabilities: { tools: tells ? { listChanged: true } : {} }, instructions }
}

/** The sidecar has tools, also before a server that has none, and tells when they change. */
export function withTools(text: string, tells: boolean): string {
  const capabilities = memberSpan(text, ['result', 'capabilities'])
  if (capabilities === undefined) return text
  const announced = tells ? { listChanged: true } : {}
  const tools = memberSpan(text, ['result', 'capabilities', 'tools'])
  if (tools === undefined) return changeMembers(text, capabilities, () => false, { tools: announced })
  const isTold = memberSpan(text, ['result', 'capabilities', 'tools', 'listChanged']) !== undefined
  return isTold || !tells ? text : changeMembers(text, tools, () => false, { listChanged: true })
}

/** Whether the client said that it can show a human an address. It then gets such a question, and no other client does. */
export function showsUrls({ message, era }: Call): boolean {
  if (era !== 'modern') return false
  const declared = metaOf(message.params)['io.modelcontextprotocol/clientCapabilities']
  return isObject(declared) && isObject(declared.elicitation) && isObject(declared.elicitation.url)
}
