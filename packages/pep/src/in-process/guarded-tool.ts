import { ServiceError } from '@bailiwick/errors'
import type { ToolGuard } from './tool-guard.ts'

/** What the frameworks' options of a tool have in common: Mastra's `createTool`, and the AI SDK's `tool` with an `id`. */
interface ToolOptions {
  id: string
  outputSchema?: unknown
  execute?: ((input: never, context: never) => unknown) | undefined
}

/**
 * The options of a tool whose calls are decided, run once and reported: `createTool(guardedTool(guard, { id, inputSchema, execute }))`. It
 * stands inside the tool, behind the framework's validation, so what is decided is what the tool gets.
 *
 * A call that is not allowed does not run, and the model reads why. Where the tool declares the form of its answers, the denial is an error,
 * because a text would not have that form. Throws `config_invalid` for a tool that has no `execute`: it runs elsewhere, out of reach.
 */
export function guardedTool<T extends ToolOptions>(guard: ToolGuard, options: T): T {
  const { id, outputSchema } = options
  const execute = options.execute as ((input: unknown, context: unknown) => unknown) | undefined
  if (execute === undefined)
    throw new ServiceError('config_invalid', `the tool ${id} has no execute: it runs elsewhere`)
  return {
    ...options,
    async execute(input: Readonly<Record<string, unknown>> | undefined, context: object | undefined) {
      const found = await guard.run(id, input ?? {}, (properties, signal) =>
        execute(properties, ending(context, signal)),
      )
      if (found.allowed) return found.result
      if (outputSchema !== undefined) throw new Error(found.words)
      return found.words
    },
  }
}

/** The framework's context, whose signal is also aborted when the call must end. */
function ending(context: object | undefined, signal: AbortSignal): object {
  const { abortSignal } = (context ?? {}) as { abortSignal?: AbortSignal }
  return { ...context, abortSignal: abortSignal === undefined ? signal : AbortSignal.any([abortSignal, signal]) }
}
