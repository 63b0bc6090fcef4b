import type { FeedRecord } from './records.ts'

/** `AnyValue` of OTLP, in its JSON encoding. */
type AnyValue =
  | { stringValue: string }
  | { boolValue: boolean }
  | { intValue: string }
  | { doubleValue: number }
  | { arrayValue: { values: AnyValue[] } }
  | { kvlistValue: { values: KeyValue[] } }
  | Record<never, never>
interface KeyValue {
  key: string
  value: AnyValue
}

/** `SeverityNumber`: the first of each range that fits OCSF's severity (OpenTelemetry Logs Data Model). */
const severityNumbers = [0, 9, 10, 13, 17, 21] as const

/** An `ExportLogsServiceRequest` in OTLP's JSON encoding: 64-bit integers as text, enums as numbers, ids in hex. */
export function logsRequest(
  records: readonly FeedRecord[],
  { installation, now }: { installation: string; now: number },
): string {
  return JSON.stringify({
    resourceLogs: [
      {
        resource: {
          attributes: keyValues({
            'service.name': 'bailiwick-evidence',
            'service.namespace': 'bailiwick',
            'bailiwick.installation': installation,
          }),
        },
        scopeLogs: [
          {
            scope: { name: 'bailiwick.evidence', version: '1.0.0' },
            logRecords: records.map((r) => logRecord(r, now)),
          },
        ],
      },
    ],
  })
}

function logRecord({ event, traceparent }: FeedRecord, now: number) {
  const [, traceId, spanId, flags] = traceparent?.split('-') ?? []
  return {
    timeUnixNano: nanoseconds(event.time),
    observedTimeUnixNano: nanoseconds(now),
    severityNumber: severityNumbers[event.severity_id],
    severityText: event.severity,
    eventName: event.metadata.event_code,
    body: anyValue(event),
    attributes: keyValues({
      // Semantic convention: records with the same uid are duplicates, and all but one may be dropped.
      'log.record.uid': event.metadata.uid,
      'ocsf.class_uid': event.class_uid,
      'ocsf.type_uid': event.type_uid,
    }),
    ...(traceId === undefined ? {} : { traceId, spanId, flags: Number.parseInt(flags ?? '0', 16) }),
  }
}

const nanoseconds = (ms: number) => `${BigInt(Math.trunc(ms)) * 1_000_000n}`

const keyValues = (members: object): KeyValue[] =>
  Object.entries(members).flatMap(([key, value]) => (value === undefined ? [] : [{ key, value: anyValue(value) }]))

export function anyValue(value: unknown): AnyValue {
  if (typeof value === 'string') return { stringValue: value }
  if (typeof value === 'boolean') return { boolValue: value }
  if (typeof value === 'number')
    return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value }
  if (Array.isArray(value)) return { arrayValue: { values: value.map(anyValue) } }
  return typeof value === 'object' && value !== null ? { kvlistValue: { values: keyValues(value) } } : {}
}
