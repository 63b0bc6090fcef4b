import { approvingErrors } from './kinds/approving.ts'
import { askingErrors } from './kinds/asking.ts'
import { authorizingErrors } from './kinds/authorizing.ts'
import { callerErrors } from './kinds/callers.ts'
import type { ErrorKind } from './kinds/error-kind.ts'
import { gitErrors } from './kinds/git.ts'
import { grantingErrors } from './kinds/granting.ts'
import { logErrors } from './kinds/log.ts'
import { mcpErrors } from './kinds/mcp.ts'
import { modelErrors } from './kinds/models.ts'
import { postgresErrors } from './kinds/postgres.ts'
import { programProxyErrors } from './kinds/program-proxy.ts'
import { proxiedErrors } from './kinds/proxied.ts'
import { receivedErrors } from './kinds/received.ts'
import { relayedErrors } from './kinds/relayed.ts'
import { sessionErrors } from './kinds/sessions.ts'
import { systemErrors } from './kinds/system.ts'
import { upstreamErrors } from './kinds/upstream.ts'

/**
 * Every error code that may leave a process, with the HTTP status of its problem document (RFC 9457), whether repeating
 * the same call can succeed, its title, its usual cause, and its fix. Codes are stable: `<noun>_<condition>`.
 * docs/reference/errors.md is generated from here.
 */
export const errorKinds = {
  ...receivedErrors,
  ...relayedErrors,
  ...callerErrors,
  ...askingErrors,
  ...approvingErrors,
  ...grantingErrors,
  ...logErrors,
  ...upstreamErrors,
  ...mcpErrors,
  ...proxiedErrors,
  ...gitErrors,
  ...postgresErrors,
  ...sessionErrors,
  ...authorizingErrors,
  ...modelErrors,
  ...programProxyErrors,
  ...systemErrors,
} as const satisfies Record<string, ErrorKind>

export type ErrorCode = keyof typeof errorKinds

/** The same table by subject, under the headings of its page. */
export const errorGroups: Readonly<Record<string, Readonly<Record<string, ErrorKind>>>> = {
  'The request': receivedErrors,
  'A request through a relay': relayedErrors,
  'The caller': callerErrors,
  'Asking for access': askingErrors,
  'Approving, and the registry': approvingErrors,
  'Grants, calls and outcomes': grantingErrors,
  'The log and its witnesses': logErrors,
  'Behind a relay': upstreamErrors,
  'MCP messages': mcpErrors,
  'HTTP APIs behind the gateway': proxiedErrors,
  'Git repositories behind the gateway': gitErrors,
  'PostgreSQL behind the gateway': postgresErrors,
  'Sessions with web applications': sessionErrors,
  'Decisions for other proxies': authorizingErrors,
  'Calls of models': modelErrors,
  'The proxy of `agent run`': programProxyErrors,
  'The system': systemErrors,
}
