import { commonSettings, quotaSettings } from './settings.ts'

/** An environment, such as process.env, which main.ts passes. */
export type Env = Readonly<Record<string, string | undefined>>

/** What `bailiwick dev` tells programs about itself. No process of ours reads them, but a shell that has them may start one. */
export const developerNames = [
  'BAILIWICK_URL',
  'BAILIWICK_INSTALLATION',
  'BAILIWICK_TRUST',
  'BAILIWICK_APPROVER',
  'BAILIWICK_APPROVER_PASSKEY',
  'BAILIWICK_AGENT',
  'BAILIWICK_AGENT_INSTANCE',
  'BAILIWICK_AGENT_KEY',
  'BAILIWICK_POINT',
  'BAILIWICK_POINT_CALLER_KEY',
  'BAILIWICK_POINT_OUTCOME_KEY',
] as const

/**
 * Every variable that some process of Bailiwick's reads; test/architecture holds it against their schemas. Processes that
 * share an environment ignore each other's settings, but not a name that is nobody's: the default that somebody meant to
 * change would stay in force unseen.
 */
export const knownSettings: readonly string[] = [
  ...Object.keys(commonSettings(0)),
  ...Object.keys(quotaSettings),
  'BAILIWICK_REQUEST_SECONDS',
  'BAILIWICK_EVIDENCE_URL',
  'BAILIWICK_NOTIFY_WEBHOOK',
  'BAILIWICK_NOTIFY_FORMAT',
  'BAILIWICK_CREDENTIAL_SECONDS',
  'BAILIWICK_AGENT_CALLS_PER_SECOND',
  'BAILIWICK_KEY_ROTATION_DAYS',
  'BAILIWICK_DECISION_DEADLINE',
  'BAILIWICK_KEEP_CALLS',
  'BAILIWICK_POLICIES',
  'BAILIWICK_PERMITS_NOTHING',
  'BAILIWICK_CALLER_TOKEN_FILE',
  'BAILIWICK_LOG_PUBLIC',
  'BAILIWICK_WITNESS_POLICY',
  'BAILIWICK_SINK_OTLP',
  'BAILIWICK_SINK_OTLP_HEADERS_FILE',
  'BAILIWICK_SINK_FILE',
  'BAILIWICK_SINK_FILE_BYTES',
  'BAILIWICK_SINK_FILE_KEEP',
  'BAILIWICK_SINK_BACKLOG',
  // Of `bailiwick dev`.
  'BAILIWICK_DEV_APPROVE',
  'BAILIWICK_DEV_MAX_MINUTES',
  'BAILIWICK_DEV_MAX_CALLS',
  'BAILIWICK_DEV_POLICIES',
  'BAILIWICK_DEV_ENV',
  ...developerNames,
  // Of test runs, whose processes inherit them.
  'BAILIWICK_CHAOS_ROUNDS',
  'BAILIWICK_NIGHTLY',
  'BAILIWICK_SEED',
]

/**
 * A line for each variable that looks like a setting of ours and is none: its name and the nearest that is one. `own` are
 * names that this process reads besides. Values are not looked at, but for an empty one, which is absent.
 */
export function misspeltSettings(env: Env, own: readonly string[] = []): string[] {
  const known = [...new Set([...knownSettings, ...own])]
  return Object.entries(env)
    .filter(([name, value]) => value && isOurs(name) && !known.includes(name) && !isServiceLink(name, value))
    .map(([name]) => {
      const { nearest, far } = nearestOf(name, known)
      return `${name}: there is no such setting${far ? '' : `; is ${nearest} meant?`}`
    })
}

/** Also with a slip in the prefix itself. */
const isOurs = (name: string) => distance(name.split('_', 1)[0]?.toUpperCase() ?? '', 'BAILIWICK') <= 2

/** What Kubernetes puts into every pod beside a Service that is named after us. */
const isServiceLink = (name: string, value: string) =>
  /_(SERVICE_HOST|SERVICE_PORT\w*|PORT_\d+_(TCP|UDP)\w*)$/.test(name) || /^(tcp|udp):\/\//.test(value)

function nearestOf(name: string, known: readonly string[]): { nearest: string; far: boolean } {
  const measured = known.map((each) => ({ each, off: distance(name.toUpperCase(), each) }))
  const best = measured.reduce((a, b) => (b.off < a.off ? b : a))
  return { nearest: best.each, far: best.off > 6 }
}

/** Levenshtein's: insertions, deletions and replacements. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, n) => n)
  for (const [i, letter] of [...a.slice(0, 100)].entries()) {
    const next = [i + 1]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (letter === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
