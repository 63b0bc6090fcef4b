import type { ErrorKind } from './error-kind.ts'

/** Messages to a server of tools (MCP) that the gateway refuses before anything is decided. Nothing of them reaches the server. */
export const mcpErrors = {
  mcp_message_malformed: {
    status: 400,
    retryable: false,
    title: 'The message is not one that the protocol has',
    cause: 'It is no JSON-RPC 2.0 request or notification, is a list, or has a member that the envelope does not have.',
    fix: 'Send one message in each request, with `jsonrpc`, `id`, `method` and `params` alone.',
  },
  mcp_version_missing: {
    status: 400,
    retryable: false,
    title: 'The message does not say its protocol version',
    cause:
      '`MCP-Protocol-Version` names revision 2026-07-28, and the body has no `params._meta["io.modelcontextprotocol/protocolVersion"]`.',
    fix: 'Say in the body of each request what the header field says.',
  },
  mcp_version_unsupported: {
    status: 400,
    retryable: false,
    title: 'The protocol version is not served here',
    cause: '`MCP-Protocol-Version` names a revision that the gateway does not know.',
    fix: 'Use one of the revisions in `error.data.supported`.',
  },
  mcp_header_mismatch: {
    status: 400,
    retryable: false,
    title: 'A header field does not say what the message says, or is missing',
    cause:
      '`MCP-Protocol-Version`, `Mcp-Method`, `Mcp-Name` or an `Mcp-Param-…` field differs from the body, comes twice, or is missing where the revision requires it.',
    fix: 'Make the fields of the body that is sent. After a change of the tool’s schema, read `tools/list` again.',
  },
  mcp_method_unmapped: {
    status: 404,
    retryable: false,
    title: 'The method stands for no action, and no grant can allow it',
    cause: 'The method belongs to another revision, to an extension, or to the server’s side.',
    fix: 'Do without it, or use the method of this revision.',
  },
  mcp_member_unmapped: {
    status: 400,
    retryable: false,
    title: 'The message has a parameter that its action cannot express',
    cause:
      '`params` has a member besides those of the method and `_meta`, such as `inputResponses` in revision 2025-11-25.',
    fix: 'Leave it out: a server could act on it, and no one would have decided on that.',
  },
  mcp_mapping_refused: {
    status: 400,
    retryable: false,
    title: 'The tool’s declared mapping cannot be honoured for this call',
    cause:
      'The tool’s `x-authzen-mapping` names something that the gateway does not understand or decide on, or that this call does not have. `detail` says where.',
    fix: 'If an argument is missing, send it. Otherwise the server must map by literals and paths, without a subject of its own and without properties.',
  },
  mcp_session_unknown: {
    status: 404,
    retryable: false,
    title: 'There is no such session of this caller',
    cause:
      'The session ended with its grant or after a pause, the gateway was restarted, or the session belongs to another grant, agent or replica.',
    fix: 'Begin again with `initialize`.',
  },
  mcp_task_unknown: {
    status: 400,
    retryable: false,
    title: 'The caller has no such task',
    cause:
      'No call of this grant and session began the task here: it belongs to another grant, session or replica, its session ended, or the gateway has forgotten it.',
    fix: 'Use the id that the call returned, in the same session. Otherwise make the call again.',
  },
  mcp_tool_reserved: {
    status: 400,
    retryable: false,
    title: 'The name of the tool is reserved for the gateway',
    cause: 'A tool whose name begins with `bailiwick_` was called, and the gateway has no such tool.',
    fix: 'Give the server’s tool another name.',
  },
} as const satisfies Record<string, ErrorKind>
