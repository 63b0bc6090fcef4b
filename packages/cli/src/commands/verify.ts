import { existsSync } from 'node:fs'
import { ServiceError } from '@bailiwick/errors'
import { paths, readInstallation } from '@bailiwick/installation'
import {
  bundleJson,
  bundleLines,
  GenesisInLog,
  type LogEntry,
  type LogFault,
  type LogReport,
  logSource,
  readLog,
  rootNotChecked,
  verifyBundleFile,
} from '@bailiwick/verify'
import type { Command } from 'commander'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { lenienceLines } from '../lenience.ts'
import { cosigners, LARGEST_NOTE, logKeyOf, readPolicy, trustedRoot } from '../log-trust.ts'
import { collect, type DataOption, type JsonOption, withData, withJson } from '../options.ts'
import { readInput } from '../read-input.ts'

interface VerifyCommand extends DataOption, JsonOption {
  log?: string
  vkey?: string
  old?: string[]
  witness?: string
  root?: string
}

const PROGRESS_EVERY_MS = 100
const LARGEST_BUNDLE = 256 * 1024 * 1024

export function verifyCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const command = program
    .command('verify')
    .summary('check the evidence log from its files and public key alone')
    .description(
      'Checks the evidence log from its files and public key alone: the signature of its checkpoint, every tile, every ' +
        'entry, and that each checkpoint you kept is the beginning of it. Trusts nothing that runs.',
    )
    .argument('[bundle]', 'a bundle of `prove` to verify instead of a log')
    .option('--log <dir or url>', "the log's folder or address (default: the data directory's)")
    .option('--vkey <file, url or text>', "the log's public key (default: the one in the data directory's trust.json)")
    .option('--witness <policy>', 'a policy file (C2SP tlog-policy): whose cosignatures the checkpoint must have')
    .option('--root <key or file>', "of a bundle: the root key, or a trust.json (default: the data directory's)")
    .option('--old <checkpoint>', 'a checkpoint that you kept; may be given more than once', collect)
  withJson(withData(command, io)).action(async (bundle: string | undefined, options: VerifyCommand) =>
    done(await (bundle === undefined ? verify(options, io) : verifyBundle(bundle, options, io))),
  )
}

async function verify(options: VerifyCommand, io: Io): Promise<ExitCode> {
  if (options.root !== undefined)
    throw new ServiceError('config_invalid', '--root: a log has no root key, a bundle does')
  const recoveries = new Map<string, string>()
  const source = logSource(options.log ?? paths(options.data).log)
  const older = (options.old ?? []).map((name) => ({ name, note: readInput('--old', name, LARGEST_NOTE) }))
  const policy = options.witness === undefined ? undefined : readPolicy(options.witness)
  const vkey = await logKeyOf(options, policy)
  // Another log belongs to another installation, whose trust.json is not available here: `audit --trust` checks that.
  const trust =
    options.log === undefined && options.vkey === undefined ? readInstallation(options.data).trust : undefined
  const genesis = trust && new GenesisInLog(trust)
  const report = await readLog({ source, vkey, older, policy, ...progressOf(io) }, (entry) => {
    noteRecovery(entry, recoveries)
    return genesis?.take(entry)
  })
  const missing = report.ok ? genesis?.missing() : undefined
  if (options.json) io.out(JSON.stringify(machineReport(source.name, report, missing)))
  else if (missing !== undefined)
    io.out(`${source.name}: unchanged, but its registry does NOT begin with the whole genesis: ${missing}`)
  else for (const line of report.ok ? cleanLines(source.name, report) : faultLines(source.name, report)) io.out(line)
  if (trust !== undefined) for (const line of lenienceLines(trust)) io.err(line)
  if (trust !== undefined && trust.genesis === undefined) io.err(genesisWarning)
  for (const [id, time] of report.ok ? recoveries : [])
    io.err(
      `RECOVERY: the log has ${id} of ${time}: 24 h later the root key lets a person in by it, unless it was retired.`,
    )
  if (older.length === 0) io.err(rollbackWarning)
  return report.ok && missing === undefined ? exitCodes.ok : exitCodes.fault
}

/** Reads these files alone, and makes no connection unless `--vkey` is an address. */
async function verifyBundle(file: string, { log, old, ...options }: VerifyCommand, io: Io): Promise<ExitCode> {
  if (log !== undefined || old !== undefined)
    throw new ServiceError('config_invalid', 'a bundle is verified by itself, without --log and --old')
  const bytes = readInput('bundle', file, LARGEST_BUNDLE)
  const policy = options.witness === undefined ? undefined : readPolicy(options.witness)
  if (options.vkey === undefined && policy === undefined && !existsSync(paths(options.data).trust))
    throw new ServiceError('config_invalid', 'a bundle needs --vkey: the key of the log, from its operator')
  const vkey = await logKeyOf(options, policy)
  const root = trustedRoot(options) || undefined
  const { about, report } = await verifyBundleFile(bytes, { log: vkey, policy, root })
  for (const line of options.json ? [JSON.stringify(bundleJson(report))] : bundleLines(file, about, report))
    io.out(line)
  if (report.ok && !report.root_checked) io.err(rootNotChecked(report.root))
  return report.ok ? exitCodes.ok : exitCodes.fault
}

// Inside a text a quotation mark is preceded by a backslash: nothing that an agent writes can match this.
const registered = /"type":"recovery\.registered","time":"([^"]{1,40})","subject":"recovery ([^"]{1,200})"/

/** Notes a recovery that an entry registers, even if it was retired later. */
function noteRecovery({ bytes }: LogEntry, recoveries: Map<string, string>): void {
  const [, time, id] = registered.exec(Buffer.from(bytes).toString('latin1')) ?? []
  if (time !== undefined && id !== undefined) recoveries.set(id, time)
}

const rollbackWarning =
  'Without --old this cannot see that the log was rolled back or replaced as a whole: keep a copy of its checkpoint elsewhere, and pass it next time.'

const genesisWarning =
  'trust.json was made by an earlier version: it does not sign the genesis as a whole, so a rule that was left out before the first start would not be missed.'

/** The progress of a pass over a log, shown if a person is watching. */
export function progressOf(
  { progress, clock }: Io,
  doing = '',
): { onProgress?: (entries: number, size: number) => void } {
  if (progress === undefined) return {}
  let last = clock.monotonic()
  return {
    onProgress(entries, size) {
      const now = clock.monotonic()
      if (now - last < PROGRESS_EVERY_MS) return
      last = now
      progress(`${doing}${count(entries)} of ${count(size)} entries`)
    },
  }
}

function machineReport(log: string, report: LogReport, missing: string | undefined): unknown {
  if (!report.ok) {
    const { witnesses, ...fault } = report
    return { log, ...fault, ...(witnesses === undefined ? {} : { witnesses: cosigners(witnesses) }) }
  }
  const { origin, size, root } = report.checkpoint
  if (missing !== undefined)
    return { log, ok: false, path: 'trust.json', reason: 'genesis_incomplete', detail: missing }
  return {
    log,
    ok: true,
    origin,
    size,
    root: Buffer.from(root).toString('base64'),
    older: report.older,
    ...(report.witnesses.length === 0 ? {} : { witnesses: cosigners(report.witnesses) }),
  }
}

function cleanLines(log: string, { checkpoint, older, witnesses }: Extract<LogReport, { ok: true }>): string[] {
  return [
    `${log}: whole and unchanged`,
    `  origin   ${checkpoint.origin}`,
    `  entries  ${count(checkpoint.size)}`,
    `  root     ${Buffer.from(checkpoint.root).toString('base64')}`,
    ...cosigners(witnesses).map(({ name, time }) => `  cosigned ${time} by ${name}`),
    ...older.map(({ name, size }) => `  grew from ${name} (${count(size)} entries)`),
  ]
}

/** Describes a fault of a log, for people. */
export function faultLines(log: string, fault: LogFault): string[] {
  return [`${log}: NOT what its key commits to`, `  ${fault.path}: ${explain(fault)} (${fault.reason})`]
}

function explain({ reason, index, older, witnesses = [] }: LogFault): string {
  const from = index === undefined ? '' : `, from entry ${index} on`
  switch (reason) {
    case 'missing':
      return 'is not there'
    case 'malformed':
      return 'is cut off, or has bytes that do not belong there'
    case 'tile_differs':
      return `holds a hash that the checkpoint does not commit to${from}`
    case 'entry_differs':
      return `entry ${index} is not the one that the checkpoint commits to`
    case 'root_differs':
      return 'commits to another tree than the files hold'
    case 'checkpoint_inconsistent':
      return older !== undefined && older.size > older.now
        ? `has ${count(older.now)} entries where it once had ${count(older.size)}: the log was rolled back`
        : `the log of ${count(older?.size ?? 0)} entries that was kept is not the beginning of this one: history was changed`
    case 'quorum_missing':
      return `is cosigned by ${
        cosigners(witnesses)
          .map(({ name }) => name)
          .join(', ') || 'no witness'
      } of the policy, which is not enough`
    case 'note_malformed':
    case 'checkpoint_malformed':
      return 'is no checkpoint'
    case 'signature_missing':
      return 'is not signed by this key: it is of another log, or was replaced'
    case 'signature_invalid':
      return 'was changed: the signature does not hold'
    case 'origin_unexpected':
      return 'is of another log'
  }
}

const count = (n: number) => n.toLocaleString('en-US')
