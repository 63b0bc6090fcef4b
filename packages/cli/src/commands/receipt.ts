import { errorCode, ServiceError } from '@bailiwick/errors'
import {
  encodeTlogProof,
  isQuorumMet,
  leafHash,
  openTlogProof,
  parseCheckpoint,
  parseNote,
  parseTlogProof,
  readContents,
  TILE_WIDTH,
  widthIn,
} from '@bailiwick/tlog'
import type { Command } from 'commander'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { cosigners, logKeyOf, readPolicy } from '../log-trust.ts'
import { operatorOf } from '../operator-client.ts'
import { type DataOption, type JsonOption, withData, withJson } from '../options.ts'
import { readInput } from '../read-input.ts'

interface Options extends DataOption, JsonOption {
  check?: string
  entry?: string
  vkey?: string
  witness?: string
}

/** An entry in base64, a proof and a checkpoint. */
const LARGEST_RECEIPT = 256 * 1024
const LARGEST_ENTRY = 65_535

export function receiptCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const command = program
    .command('receipt')
    .summary('prove to anybody that the log holds an event; check such a proof offline')
    .description(
      'Prints the receipt of an event (C2SP tlog-proof), which carries the event itself as its extra data; with --check ' +
        'verifies one from the log’s public key alone, and prints the event that it proves.',
    )
    .argument('[event-id]', 'the event; not with --check')
    .option('--check <file>', 'a receipt to verify, offline')
    .option('--entry <file>', 'with --check: the event’s exact bytes, for a receipt that does not carry them')
    .option('--vkey <file, url or text>', "with --check: the log's public key (default: the one in the data directory)")
    .option('--witness <policy>', 'with --check: a policy file (C2SP tlog-policy): whose cosignatures it must have')
  withJson(withData(command, io)).action(async (eventId: string | undefined, options: Options) => {
    if ((eventId === undefined) === (options.check === undefined))
      throw new ServiceError('config_invalid', 'receipt: name an event, or a receipt to --check')
    if (eventId !== undefined && !eventId.startsWith('evt_'))
      throw new ServiceError(
        'config_invalid',
        `receipt: name an event, evt_…: \`trace ${eventId}\` lists them, and \`prove ${eventId}\` proves all of it`,
      )
    if (eventId !== undefined) for (const line of await receiptOf(eventId, options.data)) io.out(line)
    done(options.check === undefined ? exitCodes.ok : await check(options.check, options, io))
  })
}

/** The log's proof, with the entry added. It is not verified here: the reader verifies it with a trusted key. */
async function receiptOf(eventId: string, data: string): Promise<string[]> {
  const operator = operatorOf(data)
  const proof = parseTlogProof(await operator.text(`/log/proof/${encodeURIComponent(eventId)}`))
  const note = proof === undefined ? undefined : parseNote(proof.checkpoint)
  const size = note === undefined ? undefined : parseCheckpoint(note.text)?.size
  if (proof === undefined || size === undefined) throw new ServiceError('answer_malformed', 'the log gave no proof')
  const index = Math.floor(proof.index / TILE_WIDTH)
  const tile = (path: string) => operator.bytes(`/log/${path}`).catch(nothingThere)
  // The log may be far beyond the checkpoint that its witnesses cosigned, and may have only the full bundle.
  const bundle = await readContents(tile, { level: 'entries', index, width: widthIn(size, 0, index) })
  const extra = 'items' in bundle ? bundle.items[proof.index % TILE_WIDTH] : undefined
  if (extra === undefined) throw new ServiceError('answer_malformed', 'the log gave no entry')
  return encodeTlogProof({ ...proof, extra })
    .split('\n')
    .slice(0, -1)
}

function nothingThere(error: unknown): undefined {
  if (errorCode(error) !== 'entity_unknown') throw error
}

async function check(file: string, options: Options, io: Io): Promise<ExitCode> {
  const receipt = readInput('--check', file, LARGEST_RECEIPT)
  const policy = options.witness === undefined ? undefined : readPolicy(options.witness)
  const log = await logKeyOf(options, policy)
  const given = options.entry === undefined ? undefined : readInput('--entry', options.entry, LARGEST_ENTRY)
  const parsed = parseTlogProof(receipt)
  const entry = given ?? parsed?.extra
  // A receipt may be shown alone: the entry that it carries must be the one that it proves.
  const isAnother = given !== undefined && parsed?.extra !== undefined && !Buffer.from(given).equals(parsed.extra)
  if (entry === undefined && parsed !== undefined)
    throw new ServiceError('config_invalid', `${file} does not carry the event: give its bytes with --entry`)
  const witnesses = policy?.witnesses.map(({ key }) => key) ?? []
  const opened = openTlogProof(receipt, leafHash(entry ?? new Uint8Array()), { log, witnesses })
  const met =
    opened.ok &&
    (policy === undefined ||
      isQuorumMet(
        policy,
        opened.witnesses.map(({ key }) => key),
      ))
  if (!opened.ok || !met || isAnother || entry === undefined) {
    const reason = opened.ok ? (isAnother ? 'entry_differs' : 'quorum_missing') : opened.reason
    io.out(options.json ? JSON.stringify({ ok: false, reason }) : `${file}: proves NOTHING (${reason})`)
    return exitCodes.fault
  }
  const event = Buffer.from(entry).toString('utf8')
  const { index, checkpoint } = opened
  const by = cosigners(opened.witnesses)
  if (options.json)
    io.out(JSON.stringify({ ok: true, origin: checkpoint.origin, size: checkpoint.size, index, witnesses: by, event }))
  else {
    io.out(`${file}: entry ${index} of ${checkpoint.origin}, under its checkpoint of ${checkpoint.size} entries`)
    for (const { name, time } of by) io.out(`  cosigned ${time} by ${name}`)
    io.out(event)
  }
  return exitCodes.ok
}
