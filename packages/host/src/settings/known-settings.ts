import {
  askSettings,
  commonSettings,
  decisionSettings,
  issuerSettings,
  logSettings,
  notifySettings,
  sinkSettings,
} from './settings.ts'

/** An environment, such as process.env, which main.ts passes. */
export type Env = Readonly<Record<string, string | undefined>>

/**
 * Variables that `bailiwick dev` sets for other programs. Our processes do not read them, but may be started from a shell that has them.
 */
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
 * Every variable that some Bailiwick process reads; test/architecture compares this list with their schemas. Processes that
 * share an environment ignore each other's settings, but refuse an unknown name: otherwise the default that the operator meant to
 * change would silently stay in force.
 */
export const knownSettings: readonly string[] = [
  ...Object.keys(commonSettings(0)),
  ...[decisionSettings, askSettings, notifySettings, issuerSettings, logSettings, sinkSettings].flatMap(Object.keys),
  'BAILIWICK_EVIDENCE_URL',
  'BAILIWICK_POLICIES',
  'BAILIWICK_PERMITS_NOTHING',
  'BAILIWICK_CALLER_TOKEN_FILE',
  'BAILIWICK_GATEWAY_CONFIG',
  'BAILIWICK_GATEWAY_PORT',
  'BAILIWICK_GATEWAY_URL',
  'BAILIWICK_DRAIN',
  'BAILIWICK_HTTP2',
  'BAILIWICK_GRPC_PORT',
  // Of `bailiwick dev`.
  'BAILIWICK_DEV_APPROVE',
  'BAILIWICK_DEV_MAX_MINUTES',
  'BAILIWICK_DEV_MAX_CALLS',
  'BAILIWICK_DEV_POLICIES',
  'BAILIWICK_DEV_ENTITIES',
  'BAILIWICK_DEV_ENV',
  ...developerNames,
  // For test runs, whose processes inherit them.
  'BAILIWICK_CHAOS_ROUNDS',
  'BAILIWICK_NIGHTLY',
  'BAILIWICK_SEED',
]

/**
 * One line for each variable that looks like a Bailiwick setting but is not: its name and the nearest real name. `own`: further names that
 * this process reads. Values are not examined, except that an empty variable counts as absent.
 */
export function misspeltSettings(env: Env, own: readonly string[] = []): string[] {
  const known = [...new Set([...knownSettings, ...own])]
  return Object.entries(env)
    .filter(
      ([name, value]) =>
        value && isOurs(name) && !known.includes(name) && !isServiceLink(name, value) && !isOfRun(name),
    )
    .map(([name]) => {
      const { nearest, far } = nearestOf(name, known)
      return `${name}: there is no such setting${far ? '' : `; is ${nearest} meant?`}`
    })
}

/** Also true when the prefix itself is misspelt. */
const isOurs = (name: string) => distance(name.split('_', 1)[0]?.toUpperCase() ?? '', 'BAILIWICK') <= 2

/** Addresses that `bailiwick agent run` sets for its program, by the names of the gateway's entries. No setting begins like them. */
const isOfRun = (name: string) => /^BAILIWICK_(MCP|HTTP|MODELS)_[A-Z0-9_]+$/.test(name)

/** Variables that Kubernetes sets in every pod for a Service that is named after Bailiwick. */
const isServiceLink = (name: string, value: string) =>
  /_(SERVICE_HOST|SERVICE_PORT\w*|PORT_\d+_(TCP|UDP)\w*)$/.test(name) || /^(tcp|udp):\/\//.test(value)

function nearestOf(name: string, known: readonly string[]): { nearest: string; far: boolean } {
  const measured = known.map((each) => ({ each, off: distance(name.toUpperCase(), each) }))
  const best = measured.reduce((a, b) => (b.off < a.off ? b : a))
  return { nearest: best.each, far: best.off > 6 }
}

/** Levenshtein distance: insertions, deletions and replacements. */
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
