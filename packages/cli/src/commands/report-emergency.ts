import { ServiceError } from '@bailiwick/errors'
import { paths, readInstallation } from '@bailiwick/installation'
import { type EmergencyReport, emergencyReports, logSource } from '@bailiwick/verify'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { lenienceLines } from '../lenience.ts'
import type { DataOption, JsonOption } from '../options.ts'

interface Options extends DataOption, JsonOption {
  log?: string
}

/** `report emergency`: from the log alone, whose entries and signatures are verified first. */
export async function reportEmergency(id: string | undefined, options: Options, io: Io): Promise<ExitCode> {
  const { trust } = readInstallation(options.data)
  const source = logSource(options.log ?? paths(options.data).log)
  const told = await emergencyReports({ source, trust, id })
  if (!told.ok) {
    io.err(`${source.name}: NOT what its key commits to (${told.path}: ${told.reason}): bailiwick verify tells more`)
    return exitCodes.fault
  }
  const { reports } = told
  if (id !== undefined && reports.length === 0)
    throw new ServiceError('access_request_unknown', `the log has no emergency ${id}`)
  if (options.json) io.out(JSON.stringify(reports))
  else for (const each of reports) for (const line of linesOf(each)) io.out(line)
  if (!options.json && reports.length === 0) io.out('There was no emergency.')
  for (const line of lenienceLines(trust)) io.err(line)
  return reports.every(isInOrder) ? exitCodes.ok : exitCodes.fault
}

/** A stolen approval service could write that the person who acted reviewed it. */
const isReviewed = ({ reviewed_by, by }: EmergencyReport) => reviewed_by !== undefined && reviewed_by !== by

const isInOrder = (report: EmergencyReport) =>
  report.problem === undefined && (report.grant_id === undefined || isReviewed(report))

function* linesOf(report: EmergencyReport): Generator<string> {
  const { request_id, grant_id, by, agent, opened_at, until, state, ended, signed_by, problem, reviewed_by } = report
  yield `Emergency ${request_id}${grant_id === undefined ? '' : `, ${grant_id}`}`
  yield `  opened ${opened_at} by ${by}, as ${agent}`
  yield problem === undefined
    ? `  signed by ${signed_by.join(' and ') || 'no person'}`
    : `  SIGNATURES NOT VERIFIED (${problem})`
  if (until === undefined) yield `  never granted: ${state}`
  else yield `  until ${until}${ended === undefined ? ', not ended yet' : `; ${ended.how} at ${ended.at}`}`
  for (const line of report.allows) yield `  ${line}`
  yield `  ${report.credentials} credentials, ${report.actions.length} actions decided`
  for (const { at, name, resource, decision, outcome } of report.actions)
    yield `    ${at}  ${name} on ${resource}: ${decision}${outcome === undefined ? '' : `, ${outcome}`}`
  if (grant_id !== undefined) yield isReviewed(report) ? `  reviewed by ${reviewed_by}` : '  NOT REVIEWED'
}
