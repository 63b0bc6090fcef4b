import { logField } from '../authorize/access-logs.ts'
import { decisionField, type ProxyAnswer } from '../authorize/answer-proxy.ts'
import { field, integerField } from './protobuf.ts'

/** `google.rpc.Code`. A message without a status would mean OK, so it is always written. */
const rpc = { ok: 0, permissionDenied: 7 }
/** `OVERWRITE_IF_EXISTS_OR_ADD`: what a client sent under the name is lost. */
const overwrite = 2

/** The answer as a `CheckResponse`. */
export function checkResponse(answer: ProxyAnswer): Uint8Array {
  if (!answer.allowed) {
    const { status, fields, body } = answer
    const denied = field(3, body)
    return Buffer.concat([
      field(1, integerField(1, rpc.permissionDenied)),
      field(2, field(1, integerField(1, status)), ...Object.entries(fields).map(headerOption), denied),
    ])
  }
  const { decisionId, removed, logMark } = answer
  return Buffer.concat([
    field(1, integerField(1, rpc.ok)),
    field(3, headerOption([decisionField, decisionId]), ...removed.map((name) => field(5, name))),
    // A struct with one member. Envoy keeps it, and neither the client nor the API sees it.
    ...(logMark === undefined ? [] : [field(4, field(1, field(1, logField), field(2, field(3, logMark))))]),
  ])
}

const headerOption = ([name, value]: readonly [string, string]): Buffer =>
  field(2, field(1, field(1, name), field(2, value)), integerField(3, overwrite))
