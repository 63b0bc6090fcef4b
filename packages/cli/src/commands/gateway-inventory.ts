import { type ErrorCode, errorKinds, ServiceError } from '@bailiwick/errors'
import { parseJson } from '@bailiwick/kit'
import type { Command } from 'commander'
import { z } from 'zod'
import { expectAnswer } from '../expect-answer.ts'
import { runChild } from '../gateway/child.ts'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { operatorOf } from '../operator-client.ts'
import { type DataOption, type JsonOption, wholeNumber, withData, withJson } from '../options.ts'
import { presentRegistry } from '../present-entities.ts'
import { gatewayInventory } from '../repository.ts'
import { tableLines } from '../table.ts'

const kinds = [
  'copy',
  'written_out',
  'readable',
  'old',
  'short',
  'shared',
  'unread',
  'open',
  'named',
  'unregistered',
] as const
const findingSchema = z.object({
  kind: z.enum(kinds),
  reference: z.string().optional(),
  place: z.string().optional(),
  line: z.number().optional(),
  days: z.number().optional(),
  answers: z.boolean().optional(),
})
type Finding = z.output<typeof findingSchema>

const inventorySchema = z.object({
  upstreams: z.array(
    z.object({
      ...{ kind: z.string(), name: z.string(), server: z.string(), address: z.string() },
      secrets: z.array(z.object({ member: z.string(), reference: z.string(), age_days: z.number().nullable() })),
      findings: z.array(findingSchema),
    }),
  ),
  rotate: z.array(z.object({ reference: z.string(), upstreams: z.array(z.string()), because: z.array(z.enum(kinds)) })),
  elsewhere: z.array(z.string()),
  unchecked: z.array(z.object({ place: z.string(), why: z.string() })),
  searched: z.object({ files: z.number(), variables: z.number() }),
})
type Inventory = z.output<typeof inventorySchema>

const answerSchema = z.union([
  z.object({ inventory: inventorySchema }),
  z.object({ error: z.object({ code: z.string(), detail: z.string() }) }),
])

interface InventoryOptions extends DataOption, JsonOption {
  config: string
  days: number
  look?: string[]
  connect: boolean
}

/** `gateway inventory`: the ways to use the servers behind a gateway without it. */
export function gatewayInventoryCommand(gateway: Command, io: Io, done: (code: ExitCode) => void): void {
  const command = gateway
    .command('inventory')
    .summary('what still works without Bailiwick, and which secrets to rotate')
    .description(
      'Reads gateway.yaml, the registry and the secrets, and lists the ways to use each server without the gateway: copies of its ' +
        "secrets in this user's variables, in files of variables, and in the configurations of Codex, Claude, Cursor, VS Code and others, " +
        'secret files that others may read or that are old, servers without a secret, and configurations that name the server itself. ' +
        'Prints no secret and changes nothing. Ends with 0 if it finds nothing, 1 if it finds something, 2 if it cannot tell.',
    )
    .option('--config <file>', 'the file that names the servers', 'gateway.yaml')
    .option('--days <number>', 'a secret file that did not change for more days is old', wholeNumber(1, 36_500), 90)
    .option('--look <path...>', 'search these files and folders, too')
    .option('--no-connect', 'do not connect to servers without a secret to see whether they answer')
  withJson(withData(command, io)).action(async (options: InventoryOptions) => done(await list(options, io)))
}

async function list({ data, json, config, days, look = [], connect }: InventoryOptions, io: Io): Promise<ExitCode> {
  const { present } = await presentRegistry(operatorOf(data))
  const registered = present.filter(({ type }) => type === 'tool-server').map(({ id }) => id)
  const input = JSON.stringify({ config, registered, look, days, connect })
  const { out, code } = await runChild(gatewayInventory, { input, env: io.env })
  if (out === '') throw new ServiceError('config_invalid', `the inventory could not be taken (${code})`)
  const answer = expectAnswer(answerSchema, parseJson(out))
  if ('error' in answer) {
    const { code: failed, detail } = answer.error
    throw new ServiceError(Object.hasOwn(errorKinds, failed) ? (failed as ErrorCode) : 'config_invalid', detail)
  }
  const { inventory } = answer
  if (json) io.out(JSON.stringify(inventory))
  else for (const line of inventoryLines(inventory)) io.out(line)
  return inventory.upstreams.some(({ findings }) => findings.length > 0) ? exitCodes.fault : exitCodes.ok
}

function inventoryLines({ upstreams, rotate, elsewhere, unchecked, searched }: Inventory): string[] {
  const found = upstreams.flatMap(({ kind, name, findings }) =>
    findings.map((finding) => [`${name} (${kind})`, saidOf(finding), remedies[finding.kind]]),
  )
  const clean = upstreams.filter(({ findings }) => findings.length === 0).map(({ name }) => name)
  return [
    ...(found.length === 0 ? [] : tableLines([['UPSTREAM', 'WITHOUT BAILIWICK', 'REMEDY'], ...found])),
    ...(clean.length === 0 ? [] : [`Nothing found for: ${clean.join(', ')}`]),
    ...rotate.map(
      ({ reference, upstreams: names, because }) => `ROTATE ${reference} (${names.join(', ')}): ${because.join(', ')}`,
    ),
    ...(elsewhere.length === 0
      ? []
      : [`In the registry, and not in this file: ${elsewhere.join(', ')}. This says nothing about them.`]),
    ...unchecked.map(({ place, why }) => `NOT SEARCHED: ${place} (${why.replaceAll('_', ' ')})`),
    `Searched ${searched.files} files and ${searched.variables} variables of this user on this machine. A copy elsewhere was not looked for.`,
  ]
}

function saidOf({ kind, reference, place = '', line, days, answers }: Finding): string {
  const at = line === undefined ? place : `${place}:${line}`
  const said: Record<Finding['kind'], string> = {
    copy: `${reference} also stands in ${at}`,
    written_out: `gateway.yaml holds a secret in ${place}`,
    readable: `others may read or use ${reference}`,
    old: `${reference} did not change for ${days} days`,
    short: `${reference} is shorter than 8 characters`,
    shared: `${reference} is also the secret of ${place}`,
    unread: `${reference} cannot be read, so nothing of it is known`,
    open: `it takes no secret${answers === undefined ? '' : answers ? ', and answers from here' : ', and does not answer from here'}`,
    named: `${place} names it`,
    unregistered: 'the registry does not know it, so the gateway serves nothing of it',
  }
  return said[kind]
}

const remedies: Record<Finding['kind'], string> = {
  copy: 'rotate it, and remove it there',
  written_out: 'rotate it, and write a reference',
  readable: 'rotate it, and make its mode 0600',
  old: 'rotate it',
  short: 'rotate it to a longer one',
  shared: 'give each upstream its own',
  unread: 'mend the reference',
  open: 'let only the gateway connect, or add a secret',
  named: "name the gateway's address there",
  unregistered: 'register it, or remove it',
}
