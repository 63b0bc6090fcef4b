import { askPermission } from '@bailiwick/agent/sidecar'
import { ServiceError, toProblem } from '@bailiwick/errors'
import { readStrictJson, withDeadline } from '@bailiwick/kit'
import type { Command } from 'commander'
import { z } from 'zod'
import { variableOf } from '../agent-run/environment.ts'
import { type ExitCode, exitCodes, type Io } from '../io.ts'

/** What Claude Code and Codex do with a call when its hook ends so: they show the model what is on standard error, and do not make it. */
const blocks: ExitCode = 2
const mostBytes = 4 * 1024 * 1024
/** Claude Code waits 60 s for a hook and then goes on, as if there were none. So this ends before, also while a human decides. */
const usualMs = 50_000

/** `agent hook` */
export function agentHookCommand(agent: Command, io: Io, done: (code: ExitCode) => void): void {
  agent
    .command('hook')
    .summary('inside agent run: a PreToolUse hook, which asks before a client uses a tool of its own')
    .description(
      'Reads a PreToolUse event of Claude Code or Codex from standard input, and calls the tool of the same name, with the same arguments, at a ' +
        'server behind the gateway. If the call is allowed, the client goes on; otherwise it gets the reason. The hook is advice: it does not ' +
        'stop a client that does not call or obey it.',
    )
    .argument('<server>', 'the server that stands for the tools of the client, as gateway.yaml names it')
    .action(async (server: string) => done(await hook(server, io)))
}

const eventSchema = z.object({
  hook_event_name: z.literal('PreToolUse'),
  tool_name: z.string().regex(/^[A-Za-z0-9_.-]{1,128}$/),
  tool_input: z.record(z.string(), z.unknown()),
})

export async function hook(server: string, io: Io, withinMs = usualMs): Promise<ExitCode> {
  const over = new AbortController()
  try {
    return await withDeadline(decide(server, io, over.signal), withinMs)
  } catch (error) {
    // Any other exit code than 2 would let the client go on.
    const { code, title, detail } = toProblem(error)
    io.err(`It could not be decided whether this is allowed (${code}): ${detail ?? title}`)
    return blocks
  } finally {
    over.abort()
    // A read that waits would keep the process alive, until the client loses patience.
    if (io.input !== undefined && 'destroy' in io.input && typeof io.input.destroy === 'function') io.input.destroy()
  }
}

async function decide(server: string, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const url = io.env[variableOf('MCP', server)]
  if (url === undefined) throw new ServiceError('config_invalid', `run this inside bailiwick agent run --mcp ${server}`)
  const { tool_name: tool, tool_input: args } = await eventIn(io)
  // A tool of a server that agent run serves is decided when it is called.
  const [, of] = /^mcp__([a-z0-9_-]+?)__/.exec(tool) ?? []
  if (of !== undefined && io.env[variableOf('MCP', of)] !== undefined) return exitCodes.ok
  const { allowed, reason } = await askPermission(url, { tool, args }, signal)
  if (!allowed) io.err(reason)
  return allowed ? exitCodes.ok : blocks
}

async function eventIn({ input }: Io): Promise<z.infer<typeof eventSchema>> {
  const chunks: Uint8Array[] = []
  for await (const chunk of input ?? []) chunks.push(chunk)
  const json = readStrictJson(Buffer.concat(chunks), { maxBytes: mostBytes, maxDepth: 64, exactNumbers: false })
  const event = eventSchema.safeParse(json.ok ? json.value : undefined)
  if (!event.success) throw new ServiceError('request_malformed', 'standard input holds no PreToolUse event')
  return event.data
}
