import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { errorKinds } from '@bailiwick/errors'
import { judges, runScript } from './programs.ts'

export type Revision = '2025-11-25' | '2026-07-28'

/** One check of a scenario, without what differs between two runs of one server: times, addresses, sessions and sealed state. */
export interface Check {
  id: string
  status: string
  errorMessage?: string
  details?: unknown
}

/** What the conformance suite found of one server, by scenario. */
export interface Report {
  /** 0 if each requirement of the revision is met. Extensions that the revision does not require are in `scenarios` alone. */
  exitCode: number | null
  summary: string
  scenarios: ReadonlyMap<string, readonly Check[]>
}

/** Runs what a revision requires of a server, or one scenario of it. */
export async function judge(url: string, revision: Revision, scenario?: string): Promise<Report> {
  const folder = mkdtempSync(join(tmpdir(), 'judges-'))
  try {
    const chosen = scenario ? ['--scenario', scenario, '--spec-version', revision] : ['--requirements', revision]
    const { code, out } = await runScript(judges.conformance(), ['server', '--url', url, ...chosen, '-o', folder])
    const scenarios = readdirSync(folder).map((name) => {
      const [, found = name] = /^server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$/.exec(name) ?? []
      const file = join(folder, name, 'checks.json')
      // A scenario that threw has no checks.
      const checks: Check[] = existsSync(file)
        ? JSON.parse(readFileSync(file, 'utf8'))
        : [{ id: 'none', status: 'FAILURE' }]
      return [found, checks.map((check) => settled(check, new URL(url)))] as const
    })
    const [, summary = out] = out.split('=== SUMMARY ===')
    return { exitCode: code, summary, scenarios: new Map(scenarios.toSorted(([a], [b]) => (a < b ? -1 : 1))) }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** The header fields of which the meaning is MCP's. A gateway makes others of its own, such as `cache-control`. */
const fieldOfMcp = /^(accept|content-type|mcp-(?!session-id).*)$/i

function settled({ id, status, errorMessage, details }: Check, url: URL): Check {
  const text = (value: string) =>
    value
      .replaceAll(url.href, '<url>')
      .replaceAll(url.host, '<host>')
      .replaceAll(/[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}_\d+/g, '<event>')
      .replaceAll(/\bv1\.[\w-]+\.[\w-]+/g, '<state>')
  const value = (given: unknown, name = ''): unknown => {
    if (/^sessionId(Sent)?$/.test(name) && given) return '<session>'
    if (typeof given === 'string') return /^\d{13}$/.test(given) ? '<ms>' : text(given)
    if (typeof given === 'number') return given > 1e12 ? '<ms>' : given
    if (Array.isArray(given)) return given.map((item) => value(item))
    if (typeof given !== 'object' || given === null) return given
    const members = Object.entries(given).filter(([key]) => name !== 'headers' || fieldOfMcp.test(key))
    return Object.fromEntries(members.map(([key, member]) => [key, value(member, key)]))
  }
  return {
    id,
    status,
    ...(errorMessage === undefined ? {} : { errorMessage: text(errorMessage) }),
    ...(details === undefined ? {} : { details: value(details) }),
  }
}

/** What the suite found otherwise in the second report. Empty if both are one. */
export function differences(direct: Report, through: Report): string[] {
  const names = new Set([...direct.scenarios.keys(), ...through.scenarios.keys()])
  return [...names].flatMap((name) => {
    const [wanted = [], found = []] = [direct.scenarios.get(name), through.scenarios.get(name)]
    return Array.from({ length: Math.max(wanted.length, found.length) }, (_, index) => index)
      .filter((index) => !isSame(wanted[index], found[index]))
      .map((index) => `${name}: wanted ${JSON.stringify(wanted[index])}, found ${JSON.stringify(found[index])}`)
  })
}

/** Where a gateway refuses what the server would have refused, the words are its own, and the code is the protocol's. */
function isSame(wanted: unknown, found: unknown): boolean {
  if (!isObject(wanted) || !isObject(found)) return wanted === found
  if (isObject(found.data) && Object.hasOwn(errorKinds, String(found.data.code))) return wanted.code === found.code
  const names = new Set([...Object.keys(wanted), ...Object.keys(found)])
  return Array.isArray(wanted) === Array.isArray(found) && [...names].every((name) => isSame(wanted[name], found[name]))
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

/**
 * Judges a server at two addresses. Some scenarios wait a fraction of a second for an event, which a busy machine may deliver later: a
 * scenario whose checks differ is run again at both addresses, and counts as different if they never agree. Those that are `known` to differ
 * are run once.
 */
export async function compare(
  direct: string,
  through: string,
  revision: Revision,
  { known = [], tries = 3 }: { known?: readonly string[]; tries?: number } = {},
): Promise<{ direct: Report; through: Report; differences: Readonly<Record<string, readonly string[]>> }> {
  const reports = { direct: await judge(direct, revision), through: await judge(through, revision) }
  const only = (report: Report, name: string): Report => ({
    ...report,
    scenarios: new Map([...report.scenarios].filter(([scenario]) => scenario === name)),
  })
  const found: Record<string, string[]> = {}
  for (const name of new Set([...reports.direct.scenarios.keys(), ...reports.through.scenarios.keys()])) {
    let differing = differences(only(reports.direct, name), only(reports.through, name))
    for (let n = 1; n < tries && differing.length > 0 && !known.includes(name); n++)
      differing = differences(await judge(direct, revision, name), await judge(through, revision, name))
    // What the server itself fails, an extension that it does not have, says nothing of the way to it.
    const isMet = reports.direct.scenarios.get(name)?.every(({ status }) => status !== 'FAILURE')
    if (differing.length > 0 && isMet) found[name] = differing
  }
  return { ...reports, differences: found }
}
