import { type ErrorCode, errorKinds, type Refused } from '@bailiwick/errors'
import { type Era, modernVersion, supportedVersions } from './message.ts'

/** JSON-RPC's own codes, and those of MCP 2026-07-28. */
const codes: Partial<Record<ErrorCode, number>> = {
  json_malformed: -32700,
  mcp_method_unmapped: -32601,
  mcp_member_unmapped: -32602,
  mcp_mapping_refused: -32602,
  mcp_task_unknown: -32602,
  mcp_tool_reserved: -32602,
  mcp_version_missing: -32602,
  mcp_header_mismatch: -32020,
  mcp_version_unsupported: -32022,
}
const invalidRequest = -32600

/** The status of HTTP and the error of JSON-RPC for a message that was refused before anything was decided. */
export interface Refusal {
  readonly status: number
  readonly error: { code: number; message: string; data: object }
}

/** `isAnswer` says that the message has an id, by which its client waits for an answer. */
export function refusalOf({ refused, detail }: Refused, { era, isAnswer }: { era: Era; isAnswer: boolean }): Refusal {
  const { status, title } = errorKinds[refused]
  const code = codes[refused] ?? invalidRequest
  const versions =
    refused === 'mcp_version_unsupported' ? { supported: supportedBeside(detail), requested: detail } : {}
  // A client of the legacy era takes an HTTP error for the end of its connection, and 404 for the end of its session. A notification has no
  // other answer than its status.
  const isCalm = era === 'legacy' && (code === -32601 || code === -32602)
  const shown = isCalm ? (isAnswer ? 200 : 400) : status
  return {
    status: shown,
    error: { code, message: `${title}: ${detail}`, data: { code: refused, detail, ...versions } },
  }
}

/** Clients of the legacy era name an older revision, and begin with `initialize`. All others get what `server/discover` names. */
const supportedBeside = (requested: string): readonly string[] =>
  /^\d{4}-\d\d-\d\d$/.test(requested) && requested < modernVersion ? supportedVersions : [modernVersion]
