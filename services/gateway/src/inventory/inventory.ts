import { stat } from 'node:fs/promises'
import { isAbsolute, resolve } from 'node:path'
import { type SecretPort, SecretScreen } from '@bailiwick/relay'
import { z } from 'zod'
import { readGatewayFile } from '../gateway-file.ts'
import { type ListedUpstream, listedUpstreams } from './listed-upstreams.ts'
import { filesBelow, readPlace, realPathOf, type WhyNot } from './read-place.ts'
import { type UsualPlace, usualPlaces } from './usual-places.ts'

/** The arguments of an inventory, as the command line sends them. */
export const inventorySchema = z.strictObject({
  /** Path of `gateway.yaml`. */
  config: z.string().min(1),
  /** The names of the tool servers in the registry. */
  registered: z.array(z.string()),
  /** More files and folders to search. */
  look: z.array(z.string().min(1)),
  /** A password is old after so many days. */
  days: z.int().min(1).max(36_500),
  /** Whether to connect to upstreams without a secret, to see whether they answer. */
  connect: z.boolean(),
})
export type InventoryRequest = z.output<typeof inventorySchema>

/**
 * Something by which an upstream can be used without Bailiwick. `copy`: its secret also stands at `place`. `written_out`: its secret stands
 * in `gateway.yaml`. `readable`: others may read or use the secret's file. `old`: the file did not change for `days`. `short`: the secret
 * can be guessed, and copies of it cannot be found. `shared`: the secret is also that of `place`, another upstream. `unread`: the secret
 * cannot be read, so nothing else of it is known. `open`: the upstream takes no secret. `named`: `place`, the configuration of another
 * program, names it. `unregistered`: the registry does not know it, so the gateway serves nothing of it.
 */
export interface Finding {
  kind: 'copy' | 'written_out' | 'readable' | 'old' | 'short' | 'shared' | 'unread' | 'open' | 'named' | 'unregistered'
  reference?: string
  place?: string
  line?: number
  days?: number
  /** Of `open`: whether it takes connections from here. Absent: that was not tried. */
  answers?: boolean
}

export interface InventoryEntry extends Pick<ListedUpstream, 'kind' | 'name' | 'server' | 'address'> {
  /** `age_days`: since the file changed; null if the age cannot be known. */
  secrets: { member: string; reference: string; age_days: number | null }[]
  findings: Finding[]
}

export interface Inventory {
  upstreams: InventoryEntry[]
  /** The secrets to replace at their upstreams, and why. */
  rotate: { reference: string; upstreams: string[]; because: Finding['kind'][] }[]
  /** Tool servers of the registry that this file does not name. */
  elsewhere: string[]
  /** Places that were not searched, or only in part. */
  unchecked: { place: string; why: WhyNot }[]
  searched: { files: number; variables: number }
}

export interface InventoryAdapters {
  env: Readonly<Record<string, string | undefined>>
  cwd: string
  secrets: Pick<SecretPort, 'read'>
  now: () => number
  connects: (to: { host: string; port: number }) => Promise<boolean>
}

interface Known {
  reference: string
  value: string
}

const dayMs = 24 * 3600 * 1000
/** Shorter ones stand everywhere by chance. */
const leastFindable = 8

/** After a finding of these kinds, the secret itself must change. */
const mustChange: ReadonlySet<Finding['kind']> = new Set(['copy', 'readable', 'old', 'short'])

/**
 * Lists by what each upstream can be used without Bailiwick. Changes nothing. No part of a secret is in the result: a text that contains one,
 * such as the name of a file, is withheld. Throws `config_invalid`.
 */
export async function takeInventory(request: InventoryRequest, adapters: InventoryAdapters): Promise<Inventory> {
  const upstreams = listedUpstreams(readGatewayFile(request.config))
  const known = await readAll(upstreams, adapters)
  const findings = new Map<string, Finding[]>(upstreams.map(({ name }) => [name, []]))
  const find = ({ name }: { name: string }, finding: Finding) => void findings.get(name)?.push(finding)
  const users = (reference: string) =>
    upstreams.filter(({ secrets }) => secrets.some((each) => each.reference === reference))

  const ages = new Map<string, number | null>()
  for (const reference of new Set(upstreams.flatMap(({ secrets }) => secrets.map((each) => each.reference)))) {
    const file = await fileOf(reference, adapters)
    ages.set(reference, file === undefined ? null : Math.floor((adapters.now() - file.changedAt) / dayMs))
    const secret = known.find((each) => each.reference === reference)
    for (const upstream of users(reference))
      for (const finding of ofSecret(reference, { secret, file, days: request.days, now: adapters.now() }))
        find(upstream, finding)
  }
  for (const upstream of upstreams) {
    for (const member of upstream.writtenOut) find(upstream, { kind: 'written_out', place: member })
    for (const other of upstreams) {
      const shared = upstream.name === other.name ? undefined : sharedBy(upstream, other, known)
      if (shared !== undefined) find(upstream, { kind: 'shared', reference: shared, place: other.name })
    }
    if (!request.registered.includes(upstream.server)) find(upstream, { kind: 'unregistered' })
    if (upstream.secrets.length > 0 || upstream.writtenOut.length > 0) continue
    const { listens } = upstream
    const answers = request.connect && listens !== undefined ? { answers: await adapters.connects(listens) } : {}
    find(upstream, { kind: 'open', ...answers })
  }

  const own = new Set(ages.keys())
  const screens = known.filter(({ value }) => value.length >= leastFindable)
  let variables = 0
  for (const [name, value] of Object.entries(adapters.env)) {
    if (value === undefined || own.has(`env:${name}`)) continue
    variables++
    for (const { reference } of screens.filter((each) => holds(Buffer.from(value), each.value)))
      for (const upstream of users(reference))
        find(upstream, { kind: 'copy', reference, place: `the variable ${name}` })
  }
  const unchecked: Inventory['unchecked'] = []
  const ownFiles = new Set(
    await Promise.all([...own].filter(isFile).map((reference) => realPathOf(pathOf(reference, adapters.cwd)))),
  )
  let files = 0
  for await (const { path, isClient } of places(request, adapters, unchecked)) {
    if (ownFiles.has(await realPathOf(path))) continue
    const read = await readPlace(path)
    if (read?.why !== undefined) unchecked.push({ place: path, why: read.why })
    if (read === undefined || !('bytes' in read)) continue
    files++
    for (const { reference, value } of screens) {
      if (!holds(read.bytes, value)) continue
      const line = lineOf(read.bytes, value)
      const at = { place: path, ...(line === undefined ? {} : { line }) }
      for (const upstream of users(reference)) find(upstream, { kind: 'copy', reference, ...at })
    }
    if (isClient)
      for (const upstream of upstreams)
        if (isNamedIn(read.bytes.toString('latin1'), upstream.names)) find(upstream, { kind: 'named', place: path })
  }

  const names = new Set(upstreams.map(({ server }) => server))
  return withheld(
    {
      upstreams: upstreams.map(({ kind, name, server, address, secrets }) => ({
        ...{ kind, name, server, address },
        secrets: secrets.map((each) => ({ ...each, age_days: ages.get(each.reference) ?? null })),
        findings: findings.get(name) ?? [],
      })),
      rotate: [...own]
        .map((reference) => ({
          reference,
          upstreams: users(reference).map(({ name }) => name),
          because: [
            ...new Set(
              [...findings.values()]
                .flat()
                .filter((each) => each.reference === reference && mustChange.has(each.kind))
                .map(({ kind }) => kind),
            ),
          ],
        }))
        .filter(({ because }) => because.length > 0),
      elsewhere: request.registered.filter((id) => !names.has(id)),
      unchecked,
      searched: { files, variables },
    },
    screens.map(({ value }) => value),
  )
}

async function readAll(
  upstreams: readonly ListedUpstream[],
  { secrets }: Pick<InventoryAdapters, 'secrets'>,
): Promise<Known[]> {
  const references = new Set(upstreams.flatMap((each) => each.secrets.map(({ reference }) => reference)))
  const read = await Promise.all(
    [...references].map(async (reference) => {
      try {
        return [{ reference, value: (await secrets.read(reference)).reveal() }]
      } catch {
        return [] // told as `unread` or `readable`
      }
    }),
  )
  return read.flat()
}

const isFile = (reference: string): boolean => reference.startsWith('file:')
const pathOf = (reference: string, cwd: string): string => {
  const path = reference.slice('file:'.length)
  return isAbsolute(path) ? path : resolve(cwd, path)
}

interface SecretFile {
  changedAt: number
  isReadable: boolean
}

async function fileOf(reference: string, { cwd }: Pick<InventoryAdapters, 'cwd'>): Promise<SecretFile | undefined> {
  if (!isFile(reference)) return undefined
  try {
    const { mtimeMs, mode, uid } = await stat(pathOf(reference, cwd))
    // As `readSecretFile` judges: a file that another user mounted may be read by the group.
    return { changedAt: mtimeMs, isReadable: (mode & (uid === process.geteuid?.() ? 0o177 : 0o137)) !== 0 }
  } catch {
    return undefined
  }
}

function ofSecret(
  reference: string,
  about: { secret: Known | undefined; file: SecretFile | undefined; days: number; now: number },
): Finding[] {
  const { secret, file, days, now } = about
  const age = file === undefined ? 0 : Math.floor((now - file.changedAt) / dayMs)
  return [
    ...(file?.isReadable ? [{ kind: 'readable', reference } as const] : []),
    ...(secret === undefined && !file?.isReadable ? [{ kind: 'unread', reference } as const] : []),
    ...(secret !== undefined && secret.value.length < leastFindable ? [{ kind: 'short', reference } as const] : []),
    ...(age > days ? [{ kind: 'old', reference, days: age } as const] : []),
  ]
}

/** A reference of the first whose value the second has too. */
function sharedBy(one: ListedUpstream, other: ListedUpstream, known: readonly Known[]): string | undefined {
  const secretOf = (reference: string) => known.find((each) => each.reference === reference)?.value
  return one.secrets.find(({ reference }) =>
    other.secrets.some(
      (each) =>
        each.reference === reference ||
        (secretOf(reference) !== undefined && secretOf(reference) === secretOf(each.reference)),
    ),
  )?.reference
}

/** The usual places, `gateway.yaml`, and those that the person named; each once. */
async function* places(
  { config, look }: InventoryRequest,
  { env, cwd }: Pick<InventoryAdapters, 'env' | 'cwd'>,
  unchecked: Inventory['unchecked'],
): AsyncGenerator<UsualPlace> {
  const seen = new Set<string>()
  const isNew = (path: string) => seen.size < seen.add(path).size
  for (const place of [...usualPlaces(config, { env, cwd }), { path: resolve(cwd, config), isClient: false }])
    if (isNew(await realPathOf(place.path))) yield place
  for (const path of look)
    for await (const file of filesBelow(resolve(cwd, path), (place, why) => unchecked.push({ place, why })))
      if (isNew(await realPathOf(file))) yield { path: file, isClient: false }
}

/** As written, and as JSON, URLs, HTML and base64 write it. */
const holds = (bytes: Uint8Array, secret: string): boolean => new SecretScreen([secret]).pass(bytes) === undefined

/** The line that holds it, from 1; undefined if no single line does. */
function lineOf(bytes: Buffer, secret: string): number | undefined {
  const at = bytes
    .toString('latin1')
    .split('\n')
    .findIndex((line) => line.length >= leastFindable && holds(Buffer.from(line, 'latin1'), secret))
  return at < 0 ? undefined : at + 1
}

/** Whether the text has one of the names as a whole: `example.com` is not in `other-example.com`. */
const isNamedIn = (text: string, names: readonly string[]): boolean =>
  names.some((name) => new RegExp(`(?<![\\w.-])${RegExp.escape(name)}(?![\\w-]|\\.\\w)`, 'i').test(text))

/** The same value, with each text that contains a secret replaced. */
function withheld<T>(value: T, secrets: readonly string[]): T {
  const screen = (text: string) =>
    secrets.some((secret) => holds(Buffer.from(text), secret)) ? '(withheld: it contains a secret)' : text
  const text = JSON.stringify(value, (_, member) => (typeof member === 'string' ? screen(member) : member))
  return JSON.parse(text) as T
}
