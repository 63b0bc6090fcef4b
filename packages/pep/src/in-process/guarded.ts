import { ServiceError } from '@bailiwick/errors'
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
    const left = signalOf(context)
    const found = await guard.run(name, input ?? {}, (properties, signal) => {
      // The framework gave the call up while it was decided: the effect does not begin.
      if (left?.aborted) throw new ServiceError('call_not_begun', 'the caller has gone', { cause: left.reason })
      return execute(
        properties as I,
        withSignal(context, left === undefined ? signal : AbortSignal.any([left, signal])),
      )
    })
    if (!found.allowed) throw new ToolDenied(found.code, found.words)
    return found.result
  }
}

const signalOf = (context: unknown): AbortSignal | undefined => {
  const { abortSignal } = (context ?? {}) as { abortSignal?: unknown }
  return abortSignal instanceof AbortSignal ? abortSignal : undefined
}

/** The framework's context, of its class and with its accessors, whose signal is also aborted when the call must end. */
function withSignal<C>(context: C, abortSignal: AbortSignal): C {
  if (typeof context !== 'object' || context === null) return { abortSignal } as C
  const { abortSignal: _, ...members } = Object.getOwnPropertyDescriptors(context) as PropertyDescriptorMap
  const signal = { value: abortSignal, enumerable: true, writable: true, configurable: true }
  return Object.create(Object.getPrototypeOf(context), { ...members, abortSignal: signal }) as C
}
