import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { commitNow, freePage, machine, plain } from '../run-page.ts'
import { type KillKind, killKinds } from './kill-kinds.ts'

// npm run nightly -- kills [--count 10000] [--minutes M] [--kinds a,b] [--mode embedded|distributed] [--seed N] [--new]
// A campaign of kills in slices, each a run of vitest with a seed of its own. What was found is kept after every slice in out/kills and in
// the campaign's page in docs/runs, so a campaign that was interrupted goes on: the slice that was under way is run again.

const root = join(import.meta.dirname, '../..')
const folder = join(root, 'out/kills')
const stateFile = join(folder, 'campaign.json')

interface Slice {
  kind: string
  seed: number
  rounds: number
  /** How often each fault happened. */
  faults: Record<string, number>
  held: boolean
  ms: number
  commit: string
  /** What a slice that did not hold said first. */
  found?: string
}

interface Campaign {
  seed: number
  count: number
  began: string
  /** In docs/runs. */
  page: string
  slices: Slice[]
}

const { values: options } = parseArgs({
  options: {
    count: { type: 'string' },
    minutes: { type: 'string' },
    kinds: { type: 'string' },
    mode: { type: 'string' },
    seed: { type: 'string' },
    new: { type: 'boolean' },
  },
})

const faultsOf = ({ faults }: Slice) => Object.values(faults).reduce((sum, n) => sum + n, 0)
const sumOf = (slices: readonly Slice[]) => slices.reduce((sum, slice) => sum + faultsOf(slice), 0)

const kinds = killKinds.filter(
  ({ name, mode }) =>
    (options.kinds === undefined || options.kinds.split(',').includes(name)) &&
    (options.mode === undefined || options.mode === mode),
)
if (kinds.length === 0) {
  console.error(`no such kind: there are ${killKinds.map(({ name }) => name).join(', ')}`)
  process.exit(2)
}
mkdirSync(folder, { recursive: true })
const campaign = opened()
const until = performance.now() + Number(options.minutes ?? Number.POSITIVE_INFINITY) * 60_000
for (let slice = 0; sumOf(campaign.slices) < campaign.count; slice++) {
  const kind = nextKind()
  // A slice is expected to take as long as the longest of its kind did, and none is begun that would end too late.
  const longest = Math.max(0, ...campaign.slices.filter(({ kind: of }) => of === kind.name).map(({ ms }) => ms))
  if (slice > 0 && performance.now() + longest > until) break
  const ran = await run(kind)
  campaign.slices.push(ran)
  keep()
  console.log(`kills: ${sumOf(campaign.slices)} of ${campaign.count}; ${rowOf(ran)}`)
}
if (campaign.slices.some(({ held }) => !held)) process.exitCode = 1

/** The campaign that was interrupted, or a new one. */
function opened(): Campaign {
  const known = existsSync(stateFile) ? (JSON.parse(readFileSync(stateFile, 'utf8')) as Campaign) : undefined
  if (known !== undefined && options.new !== true) {
    const count = Number(options.count ?? known.count)
    if (sumOf(known.slices) < count) return { ...known, count }
  }
  const began = new Date()
  const seed = Number(options.seed ?? process.env.BAILIWICK_SEED ?? began.getTime() % 2 ** 32)
  const page = relative(root, freePage('kills', began))
  return { seed, count: Number(options.count ?? 10_000), began: began.toISOString(), page, slices: [] }
}

/** The kind that is furthest behind its share. */
function nextKind(): KillKind {
  const done = ({ name, share }: KillKind) => sumOf(campaign.slices.filter(({ kind }) => kind === name)) / share
  return kinds.reduce((least, kind) => (done(kind) < done(least) ? kind : least))
}

/** One slice; its seed follows from the campaign's and from how many of its kind there were. */
async function run({ name, rounds, file, title }: KillKind): Promise<Slice> {
  const before = campaign.slices.filter(({ kind }) => kind === name).length
  const seed = (campaign.seed + before * 7919) % 2 ** 32
  const tallies = join(folder, 'tally.txt')
  rmSync(tallies, { force: true })
  const began = performance.now()
  const commit = commitNow()
  const { code, output } = await vitest([file, ...(title === undefined ? [] : ['-t', title])], {
    BAILIWICK_NIGHTLY: '1',
    BAILIWICK_CHAOS_ROUNDS: String(rounds),
    BAILIWICK_SEED: String(seed),
    KILL_TALLY: tallies,
  })
  const faults: Record<string, number> = {}
  const lines = existsSync(tallies) ? readFileSync(tallies, 'utf8').split('\n').slice(0, -1) : []
  for (const line of lines) faults[line] = (faults[line] ?? 0) + 1
  // A run whose tests were all skipped has proved nothing.
  const held = code === 0 && lines.length > 0
  const ms = Math.round(performance.now() - began)
  if (held) return { kind: name, seed, rounds, faults, held, ms, commit }
  writeFileSync(join(folder, `${name}-${seed}.txt`), output)
  const said = output.split('\n').map(plain)
  const found = said.find((line) => /^\s*(\S*Error|→)[: ]/.test(line)) ?? said.findLast((line) => line !== '') ?? ''
  return { kind: name, seed, rounds, faults, held, ms, commit, found: found.trim().slice(0, 300) }
}

async function vitest(args: readonly string[], env: NodeJS.ProcessEnv): Promise<{ code: unknown; output: string }> {
  const program = join(root, 'node_modules/vitest/vitest.mjs')
  const child = spawn(process.execPath, [program, 'run', '--project', 'chaos', '--maxWorkers=1', ...args], {
    cwd: root,
    env: { ...process.env, ...env, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      process.stdout.write(chunk)
    })
  const code = await new Promise((resolve) => child.once('close', resolve))
  return { code, output }
}

/** Whole or not at all: a campaign that is interrupted here goes on from the slice before. */
function keep(): void {
  writeFileSync(`${stateFile}.new`, JSON.stringify(campaign, null, 1))
  renameSync(`${stateFile}.new`, stateFile)
  writeFileSync(join(root, campaign.page), page())
}

function rowOf({ kind, seed, rounds, held, ms, faults, found }: Slice): string {
  const said = found === undefined ? '' : `: ${found}`
  return `${kind}: ${Object.values(faults).reduce((sum, n) => sum + n, 0)} in ${rounds} rounds, seed ${seed}, ${Math.round(ms / 1000)} s, ${held ? 'held' : 'DID NOT HOLD'}${said}`
}

function page(): string {
  const { seed, count, began, slices } = campaign
  const all = new Map<string, number>()
  for (const { faults } of slices)
    for (const [what, n] of Object.entries(faults)) all.set(what, (all.get(what) ?? 0) + n)
  const failed = slices.filter(({ held }) => !held)
  const ofKind = killKinds.flatMap(({ name, mode }) => {
    const mine = slices.filter(({ kind }) => kind === name)
    const seconds = Math.round(mine.reduce((sum, { ms }) => sum + ms, 0) / 1000)
    const held = mine.filter(({ held }) => held).length
    return mine.length === 0 ? [] : [`| ${name} | ${mode} | ${mine.length} | ${held} | ${sumOf(mine)} | ${seconds} |`]
  })
  return [
    `# ${began.slice(0, 10)}: kills`,
    '',
    'Each process killed with SIGKILL and stopped with SIGSTOP at any moment, the broker and Redis killed, and a disk full, in slices with a seed of their own. After each slice, what people and agents were told is held against the log.',
    'Nothing acknowledged may be lost, doubled or without evidence, nothing signed without an earlier intent, nothing over budget, and nothing allowed after a revocation.',
    '',
    `- result: **${failed.length === 0 ? 'held' : `${failed.length} of ${slices.length} slices did not hold`}**, ${sumOf(slices)} faults of ${count}${sumOf(slices) < count ? ' so far' : ''}`,
    `- seed: ${seed} (\`npm run nightly -- kills --new --seed ${seed} --count ${count}\`)`,
    `- commits: ${[...new Set(slices.map(({ commit }) => commit))].join('; ')}`,
    `- machine: ${machine()}`,
    '',
    '| kind | mode | slices | held | faults | s |',
    '|---|---|---|---|---|---|',
    ...ofKind,
    '',
    '| fault | times |',
    '|---|---|',
    ...[...all].sort().map(([what, n]) => `| ${what} | ${n} |`),
    '',
    '```text',
    ...slices.map(rowOf),
    '```',
    '',
  ].join('\n')
}
