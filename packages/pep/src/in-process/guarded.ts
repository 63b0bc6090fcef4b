import type { ToolGuard } from './tool-guard.ts'

/** A call of a tool that was not executed. Its message is for the model. */
export class ToolDenied extends Error {
  override name = 'ToolDenied'
  readonly code: string

  constructor(code: string, words: string) {
    super(words)
    this.code = code
  }
}

/**
 * The `execute` of a tool, for Mastra's `createTool` and the AI SDK's `tool`: each call is decided, run once and reported.
 *
 *     createTool({ id: 'read', inputSchema, execute: guarded(guard, 'read', async ({ invoice }) => …) })
 *
 * It stands inside the tool, behind the framework's validation, so what is decided is what the tool gets. A call that is not allowed does not
 * run: it rejects with `ToolDenied`, which both frameworks show to the model as the tool's answer.
 */
export function guarded<I, C, R>(
  guard: ToolGuard,
  name: string,
  execute: (input: I, context: C) => R | Promise<R>,
): (input: I, context: C) => Promise<R> {
  return async (input, context) => {
    const found = await guard.run(name, input ?? {}, (properties, signal) =>
      execute(properties as I, ending(context, signal)),
    )
    if (!found.allowed) throw new ToolDenied(found.code, found.words)
    return found.result
  }
}

/** The framework's context, whose signal is also aborted when the call must end. */
function ending<C>(context: C, signal: AbortSignal): C {
  const { abortSignal } = (context ?? {}) as { abortSignal?: AbortSignal }
  return { ...context, abortSignal: abortSignal === undefined ? signal : AbortSignal.any([abortSignal, signal]) }
}
