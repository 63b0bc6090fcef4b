import { denialReasons, type ErrorCode, errorCode, errorKinds, isDenialReason, ServiceError } from '@bailiwick/errors'
import { isJson } from '../answer.ts'
import type { EnforcementPoint, Guarded } from '../enforcement-point.ts'
import { readPresented } from '../presented.ts'
import { headersOfRefusal, problemOfRefusal, type Refusal, refusal } from '../refusal.ts'

/** As much of the `Agent` of `@bailiwick/agent` as a guard needs. */
export interface ActingAgent {
  fetch(
    url: string,
    init: { method: string },
    call: {
      grant: GrantOfAgent
      action: string
      resource: { type: string; id: string }
      properties: Readonly<Record<string, unknown>>
      via: typeof fetch
    },
  ): Promise<Response>
}
export type GrantOfAgent = { grantId: string } | { requestId: string } | { delegation: string }

export interface ToolGuardOptions {
  agent: ActingAgent
  grant: GrantOfAgent
  /** Opened with `inProcess: true`. */
  point: EnforcementPoint
  /** The tool `read` is the resource `<server>/read`. */
  server: string
  /** One of the registered addresses of the point. Nothing listens there: the agent's proof is made for it. */
  address: string
}

/** What came of a call of a tool. A denial is a value, and means that nothing was executed; `words` are for the model. */
export type Decided<R> =
  | { readonly allowed: true; readonly result: R }
  | { readonly allowed: false; readonly code: string; readonly words: string }

/**
 * Asks about each call of a tool that runs in the agent's own process, as the agent, under one grant. This is advice and no enforcement: code in
 * the process can call the tool without it, and can read the keys of the point. Each outcome says so (`enforced_by: in_process`).
 */
export interface ToolGuard {
  /**
   * Runs `effect` once, with a copy of the arguments that were decided. A decision point or an issuer that is away is a denial. Rejects with
   * what `effect` threw, and with `answer_withheld`. `effect` must do its work before it resolves: a result that works only later, such as a
   * stream, or has a member that does, is a TypeError.
   */
  run<R>(
    name: string,
    properties: object,
    effect: (properties: Record<string, unknown>, signal: AbortSignal) => R | Promise<R>,
  ): Promise<Decided<R>>
}

/** Throws `config_invalid` for a point that does not say that it stands in the agent's process. */
export function toolGuard({ agent, grant, point, server, address }: ToolGuardOptions): ToolGuard {
  if (!point.isInProcess) throw new ServiceError('config_invalid', 'a point in the agent’s own process has inProcess')
  const { origin, pathname } = new URL(address)
  return {
    async run<R>(
      name: string,
      given: object,
      effect: (properties: Record<string, unknown>, signal: AbortSignal) => R | Promise<R>,
    ): Promise<Decided<R>> {
      // Its canonical form would leave out what a date, for example, says.
      if (!isJson(given) || Array.isArray(given)) return denied('request_malformed')
      const properties = given as Readonly<Record<string, unknown>>
      const resource = { type: 'tool', id: `${server}/${name}` }
      const action = { name: 'tools/call', resource, properties }
      let found: Guarded<unknown> | undefined
      let hasBegun = false
      let isText = false
      let failure: { error: unknown } | undefined
      /** The enforcement point, where the agent expects an API. */
      const decide = async (_: unknown, init?: RequestInit): Promise<Response> => {
        if (hasBegun) return new Response()
        const presented = readPresented({ rawHeaders: [...new Headers(init?.headers)].flat() })
        if (!presented.ok) return answerOf(refusal(presented.reason))
        try {
          found = await point.guard(
            { ...presented, htm: 'POST', htu: `${origin}${pathname}`, action },
            async ({ action: decided, signal }) => {
              hasBegun = true
              const result = await effect(structuredClone({ ...decided.properties }), signal)
              signal.throwIfAborted()
              if (worksLater(result))
                throw new TypeError(`the tool ${name} gives a stream, whose end no outcome could report`)
              // A text stands in a list, as MCP has it: it need be no JSON then, unless it looks like it or names a hidden field.
              isText = typeof result === 'string'
              return isText ? [result] : result
            },
          )
          return answerOf(found)
        } catch (error) {
          // An answer of any kind ends the conversation, so that the tool never runs twice.
          failure = { error }
          return new Response()
        }
      }
      try {
        await agent.fetch(
          address,
          { method: 'POST' },
          { grant, action: action.name, resource, properties, via: decide },
        )
      } catch (error) {
        failure ??= { error }
      }
      // The call has happened: an error of the agent's client must not have it made again.
      if (found?.allowed === true) {
        const { result } = found
        return { allowed: true, result: (isText && Array.isArray(result) ? result[0] : result) as R }
      }
      if (failure !== undefined && hasBegun) throw failure.error
      return denied(failure === undefined ? (found?.reason ?? 'internal') : errorCode(failure.error))
    },
  }
}

/** As an API would answer, for the agent's side of the conversation. */
function answerOf(found: Guarded<unknown>): Response {
  if (found.allowed) return new Response()
  const { status, ...problem } = problemOfRefusal(found)
  const headers = { ...headersOfRefusal(found), 'content-type': 'application/problem+json' }
  return new Response(JSON.stringify({ ...problem, status }), { status, headers })
}

function denied(code: Refusal['reason'] | ErrorCode) {
  const remedy = isDenialReason(code) ? denialReasons[code].remedy : errorKinds[code].title
  return { allowed: false, code, words: `DENIED (${code}): this call was not executed. ${remedy}` } as const
}

/**
 * Whether a result works only when it is read: a stream, a generator, a response, and a list or a plain object that has one of them or a promise
 * in it. Other classes are not looked into.
 */
function worksLater(result: unknown, seen = new Set<unknown>()): boolean {
  if (typeof result !== 'object' || result === null || seen.has(result)) return false
  seen.add(result)
  const { next, getReader } = result as Record<string, unknown>
  if (Symbol.asyncIterator in result || [next, getReader].some((each) => typeof each === 'function')) return true
  if (result instanceof Promise || (result instanceof Response && result.body !== null)) return true
  const prototype: unknown = Object.getPrototypeOf(result)
  const isPlain = Array.isArray(result) || prototype === Object.prototype || prototype === null
  return isPlain && Object.values(result).some((member) => worksLater(member, seen))
}
