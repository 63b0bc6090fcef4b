import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { installed } from './programs.ts'

/** A tool as a user writes it, before the framework's own function makes a tool of it. */
export interface ToolOptions {
  id: string
  description: string
  inputSchema: unknown
  execute: (input: never, context: never) => unknown
}

/** What the model calls, one tool after the other. */
export type Script = readonly (readonly [tool: string, input: object])[]

/** A framework's own loop: it plays the script with these tools, and returns what the model reads of each call. */
export interface Loop {
  /** The framework's zod, with which its tools say what they take. */
  zod(): Promise<typeof import('zod')>
  play(tools: readonly ToolOptions[], script: Script): Promise<string[]>
}

const mastraFolder = join(import.meta.dirname, 'mastra/node_modules')
const mastra = (file: string) => join(mastraFolder, file)

/** The AI SDK, and Mastra where it is installed: `npm ci --ignore-scripts --omit=optional` in test/judges/mastra. */
export const loops: ReadonlyMap<string, Loop> = new Map([
  ['the AI SDK', { zod: () => import(installed('zod', 'index.js')), play: aiSdk }],
  ...(existsSync(mastraFolder)
    ? [['Mastra', { zod: () => import(mastra('zod/index.js')), play: inMastra }] as const]
    : []),
])

async function aiSdk(tools: readonly ToolOptions[], script: Script): Promise<string[]> {
  const { generateText, isStepCount, tool } = await import(installed('ai', 'dist/index.js'))
  const { MockLanguageModelV4 } = await import(installed('ai', 'dist/test/index.js'))
  const model = new MockLanguageModelV4(played(script, []))
  const made = Object.fromEntries(tools.map((each) => [each.id, tool(each)]))
  const { steps } = await generateText({ model, tools: made, prompt: 'go', stopWhen: isStepCount(script.length + 1) })
  return (steps as { content: { type: string; output?: unknown; error?: unknown }[] }[])
    .flatMap(({ content }) => content)
    .filter(({ type }) => type === 'tool-result' || type === 'tool-error')
    .map(({ output, error }) => (error === undefined ? JSON.stringify(output) : String(error)))
}

async function inMastra(tools: readonly ToolOptions[], script: Script): Promise<string[]> {
  const { Agent } = await import(mastra('@mastra/core/dist/agent/index.js'))
  const { createTool } = await import(mastra('@mastra/core/dist/tools/index.js'))
  const prompts: Prompt[] = []
  const made = Object.fromEntries(tools.map((each) => [each.id, createTool(each)]))
  const model = played(script, prompts)
  const agent = new Agent({ id: 'played', name: 'played', instructions: 'Go.', model, tools: made })
  await agent.generate('go', { maxSteps: script.length + 1 })
  const last = prompts.at(-1) ?? []
  return last
    .flatMap(({ content }) => (Array.isArray(content) ? content : []))
    .filter(({ type }) => type === 'tool-result')
    .map(({ output }) => JSON.stringify(output?.value))
}

type Prompt = readonly { content: string | readonly { type: string; output?: { value: unknown } }[] }[]

/** A model that calls the tools of the script, and then says that it is done. */
function played(script: Script, prompts: Prompt[]) {
  const usage = { inputTokens: { total: 1 }, outputTokens: { total: 1 } }
  let turn = 0
  const next = () => {
    const wanted = script[turn++]
    const said =
      wanted === undefined
        ? { type: 'text', text: 'done' }
        : { type: 'tool-call', toolCallId: `call_${turn}`, toolName: wanted[0], input: JSON.stringify(wanted[1]) }
    return {
      content: [said],
      finishReason: { unified: wanted === undefined ? 'stop' : 'tool-calls' },
      usage,
      warnings: [],
    }
  }
  return {
    specificationVersion: 'v3',
    provider: 'played',
    modelId: 'played',
    supportedUrls: {},
    async doGenerate({ prompt }: { prompt: Prompt }) {
      prompts.push(prompt)
      return next()
    },
    async doStream({ prompt }: { prompt: Prompt }) {
      prompts.push(prompt)
      const { content, finishReason } = next()
      const parts = content.flatMap((said): object[] =>
        said.type === 'text'
          ? [
              { type: 'text-start', id: 't' },
              { type: 'text-delta', id: 't', delta: 'done' },
              { type: 'text-end', id: 't' },
            ]
          : [said],
      )
      const all = [{ type: 'stream-start', warnings: [] }, ...parts, { type: 'finish', finishReason, usage }]
      return { stream: ReadableStream.from(all) }
    },
  }
}
