import type { Command } from 'commander'
import { changeLines, guessLines, shownPath } from '../gateway/lines.ts'
import { adoptPin, approvePin, proposePin } from '../gateway/pins.ts'
import { type Plan, planServer } from '../gateway/plan.ts'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { lenienceLines } from '../lenience.ts'
import { operatorOf } from '../operator-client.ts'
import { type DataOption, type JsonOption, withData, withJson } from '../options.ts'
import { type PresentEntity, presentRegistry } from '../present-entities.ts'
import { appliedLine, proposalLines, propose, settled, unmet } from '../proposal.ts'
import { diffLines, effectLines } from '../registry-diff.ts'
import type { WantedEntity } from '../registry-file.ts'
import { dataOption, type ReadingOptions, withReading } from './gateway-options.ts'

interface DiffOptions extends DataOption, JsonOption, ReadingOptions {
  propose?: true
  dryRun?: true
  wait?: true
  proposer: string
}

/** `gateway diff`: compares what a server says of itself now with what people approved. */
export function gatewayDiffCommand(gateway: Command, io: Io, done: (code: ExitCode) => void): void {
  const command = gateway
    .command('diff')
    .summary('what a server of tools changed since people approved it')
    .description(
      'Reads a server as the gateway does, and compares what it says of itself with what people approved: its tools, prompts, resource ' +
        'templates, instructions, and itself. Ends with 0 if nothing differs, 1 if something does, 2 if it cannot tell. With --propose it ' +
        'proposes what the server says now to the approvers. Labels that people gave stay as they are.',
    )
    .argument('<name>', 'the server, as gateway.yaml names it')
    .option('--propose', 'propose the change; ends with 0')
    .option('--dry-run', 'with --propose: show what would change, and write and propose nothing')
    .option('--wait', 'with --propose: wait until it is applied (0) or refused (1)')
    .option('--proposer <name>', 'who is named as the proposer; a name signs nothing', 'operator')
  withReading(withJson(withData(command, io))).action(async (name: string, options: DiffOptions) =>
    done(await compare(name, options, io)),
  )
}

async function compare(name: string, options: DiffOptions, io: Io): Promise<ExitCode> {
  const { data, json, config, dryRun } = options
  const operator = operatorOf(data)
  const { present, lenience } = await presentRegistry(operator)
  const plan = await planServer({ name, config, adding: false, timeoutSeconds: options.timeout, present }, io)
  const registered = registeredManifest(plan, present)
  if (registered === undefined) {
    io.err(
      `the registry has no tool server ${plan.entry.id}: bailiwick gateway add mcp ${name} --config ${config}${dataOption(data, io)}`,
    )
    return exitCodes.couldNotRun
  }
  const isSame = registered === plan.manifest
  const wanted: WantedEntity[] = [{ type: 'tool-server', id: plan.entry.id, value: plan.entry }]
  // Labels belong to people: if the server says the same as before, there is nothing to propose.
  const diff = isSame ? [] : unmet(wanted, present)
  const effects = effectLines(diff)
  for (const line of lenienceLines(lenience)) io.err(line)
  const about = {
    ...{ same: isSame, registered, manifest: plan.manifest, base: plan.base, changes: plan.changes },
    ...{ diff, effects, guesses: isSame ? [] : plan.guesses, notes: plan.notes, era: plan.era },
  }
  if (!dryRun && (await adoptPin(plan, isSame)) && !json)
    io.out(`What people approved is now in ${shownPath(plan.pin.path)}. ${takenOver}`)
  if (!json) for (const line of comparedLines(name, plan, { isSame, registered })) io.out(line)
  if (isSame || !options.propose) {
    if (json) io.out(JSON.stringify({ request_id: null, ...about }))
    else if (!isSame)
      io.out(
        `The gateway denies what differs. To have it approved: bailiwick gateway diff ${name} --config ${config}${dataOption(data, io)} --propose`,
      )
    return isSame ? exitCodes.ok : exitCodes.fault
  }
  if (!json) for (const line of [...diffLines(diff), ...effects]) io.out(line)
  if (dryRun) {
    if (json) io.out(JSON.stringify({ request_id: null, ...about }))
    else io.out('Nothing was written nor proposed (--dry-run).')
    return exitCodes.ok
  }
  // If the approved manifest waited next to the pin, it has become the pin.
  await proposePin({ ...plan, base: plan.base === 'next' ? 'pin' : plan.base })
  const proposal = await propose(operator, diff, { proposer: options.proposer, present, lenience })
  if (!json) for (const line of proposalLines(proposal)) io.out(line)
  const applied =
    options.wait && proposal.request_id !== null ? await settled(operator, proposal.request_id, wanted) : undefined
  if (applied === true) await approvePin(plan)
  if (json) io.out(JSON.stringify({ ...about, ...proposal, applied }))
  else if (applied !== undefined) io.out(applied ? `${appliedLine(applied)} ${takenOver}` : appliedLine(applied))
  return applied === false ? exitCodes.fault : exitCodes.ok
}

const takenOver =
  'A running gateway reads it within a second. Grants from before the change are suspended, so agents ask again.'

function registeredManifest(plan: Plan, present: readonly PresentEntity[]): string | undefined {
  const found = present.find(({ type, id }) => type === 'tool-server' && id === plan.entry.id)
  return (found?.value as Plan['entry'] | undefined)?.manifest
}

function comparedLines(
  name: string,
  plan: Plan,
  { isSame, registered }: { isSame: boolean; registered: string },
): string[] {
  const notes = plan.notes.map((note) => `NOTE: ${note}`)
  if (isSame) return [`${name} is as people approved it (manifest ${registered}).`, ...notes]
  return [
    `${name} differs from what people approved: manifest ${registered} becomes ${plan.manifest}`,
    ...(plan.base === 'none'
      ? [
          `Neither ${shownPath(plan.pin.path)} nor ${shownPath(plan.pin.next)} holds what people approved, so this cannot say in which words it differs. Review all of it: --json shows the entry.`,
        ]
      : changeLines(plan.changes)),
    ...guessLines(plan.guesses),
    ...notes,
  ]
}
