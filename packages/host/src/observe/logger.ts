import { errorCode } from '@bailiwick/errors'
import { type Clock, systemClock } from '@bailiwick/kit'
import { type DestinationStream, type Level, type Logger, pino } from 'pino'
import { redactLine } from './redact.ts'

export type { Logger } from 'pino'

/** The levels of `BAILIWICK_LOG_LEVEL`; `silent` logs nothing. */
export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
export type LogLevel = Level | 'silent'

export interface LoggerOptions {
  /** Included in every line, so that the lines of a standalone process's services can be told apart. */
  service: string
  level: LogLevel
  clock?: Clock
  /** Takes whole lines of JSON. Default: standard output. */
  destination?: DestinationStream
}

/**
 * One JSON object per line: `level` and `time` (RFC 3339) as text, `service`, then the fields. An error, passed as the first argument or
 * as `err`, `error` or `cause`, becomes its code and detail. An error that is not ours also gets its name and where it was thrown. Its
 * message, which may quote anything, is written only at level `debug` or `trace`.
 */
export function logger({ service, level, clock = systemClock, destination }: LoggerOptions): Logger {
  const messages = level === 'debug' || level === 'trace'
  const error = (value: unknown) => (value instanceof Error ? describeError(value, messages) : value)
  const options = {
    level,
    base: { service },
    timestamp: () => `,"time":"${new Date(clock.now()).toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    // A request's headers, query and body never reach a line, whichever code logs the request.
    serializers: { err: error, error, cause: error, req: method, request: method, res: status, reply: status },
    hooks: { logMethod: withoutMessages, streamWrite: redactLine },
  }
  return destination === undefined ? pino(options) : pino(options, destination)
}

/** When a line has no message, pino would use the error's message. */
function withoutMessages(this: Logger, args: unknown[], method: (...args: never[]) => void): void {
  const [first, ...rest] = args
  const fields: unknown = first instanceof Error ? { err: first } : first
  const thrown = typeof fields === 'object' && fields !== null && 'err' in fields ? fields.err : undefined
  const said = rest.map((value) => (value instanceof Error ? errorCode(value) : value))
  if (thrown !== undefined && typeof said[0] !== 'string') said.unshift(errorCode(thrown))
  Reflect.apply(method, this, [fields, ...said])
}

/** What a line says about an error. */
interface ErrorFields {
  code: string
  detail?: string
  name?: string
  /** Node's own code, such as ENOSPC. */
  system?: string
  message?: string
  at?: string[]
  cause?: ErrorFields
}

function describeError(error: Error, messages: boolean, depth = 0): ErrorFields {
  const code = errorCode(error)
  const ours = code !== 'internal'
  const detail = 'detail' in error && ours && typeof error.detail === 'string' ? error.detail : undefined
  const system =
    'code' in error && typeof error.code === 'string' ? /^[A-Z][A-Z0-9_]{1,63}$/.exec(error.code)?.[0] : undefined
  return {
    code,
    ...(detail === undefined ? {} : { detail }),
    ...(ours ? {} : { name: error.name, at: frames(error) }),
    ...(system === undefined ? {} : { system }),
    ...(messages && !ours ? { message: error.message } : {}),
    ...(error.cause instanceof Error && depth < 4 ? { cause: describeError(error.cause, messages, depth + 1) } : {}),
  }
}

/** The stack without its first lines, which repeat the message. */
function frames(error: Error): string[] {
  const lines = error.stack?.split('\n') ?? []
  return lines.flatMap((line) => (/^ {4}at /.test(line) ? [line.slice(7)] : [])).slice(0, 12)
}

const method = (request: unknown) =>
  typeof request === 'object' && request !== null && 'method' in request ? { method: request.method } : undefined
const status = (reply: unknown) =>
  typeof reply === 'object' && reply !== null && 'statusCode' in reply ? { status: reply.statusCode } : undefined
