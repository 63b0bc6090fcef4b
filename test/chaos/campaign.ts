import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { commitNow, freePage, machine, plain } from '../run-page.ts'
import {
  type Campaign,
  faultsIn,
  faultsOf,
  goesOn,
  nextKind,
  nextSeed,
  pageOf,
  rowOf,
  type Slice,
} from './campaign-state.ts'
import { type KillKind, killKinds } from './kill-kinds.ts'

// npm run nightly -- kills [--count 10000] [--minutes M] [--kinds a,b] [--mode embedded|distributed] [--seed N] [--new]
// A campaign of kills in slices, each a run of vitest with a seed of its own. What was found is kept after every slice in out/kills and in
// the campaign's page in test/runs, so a campaign that was interrupted goes on: the slice that was under way is run again.

const root = join(import.meta.dirname, '../..')
const folder = join(root, 'out/kills')
const stateFile = join(folder, 'campaign.json')
const text = { type: 'string' } as const
const { values: options } = parseArgs({
  options: { count: text, minutes: text, kinds: text, mode: text, seed: text, new: { type: 'boolean' } },
})
const [first, ...others] = killKinds.filter(
  ({ name, mode }) =>
    (options.kinds === undefined || options.kinds.split(',').includes(name)) &&
    (options.mode === undefined || options.mode === mode),
)
if (first === undefined) {
  console.error(`no such kind: there are ${killKinds.map(({ name }) => name).join(', ')}`)
  process.exit(2)
}
mkdirSync(folder, { recursive: true })
const campaign = opened()
const until = performance.now() + Number(options.minutes ?? Number.POSITIVE_INFINITY) * 60_000
for (let slice = 0; goesOn(campaign, campaign.count); slice++) {
  const kind = nextKind([first, ...others], campaign.slices)
  // A slice is expected to take as long as the longest of its kind did. A slice that would end too late is not begun.
  const longest = Math.max(0, ...campaign.slices.filter(({ kind: of }) => of === kind.name).map(({ ms }) => ms))
  if (slice > 0 && performance.now() + longest > until) break
  const ran = await run(kind)
  campaign.slices.push(ran)
  keep()
  console.log(`kills: ${faultsIn(campaign.slices)} of ${campaign.count}; ${rowOf(ran)}`)
}
if (campaign.slices.some(({ held }) => !held)) process.exitCode = 1

/** The campaign that was interrupted, or a new one. */
function opened(): Campaign {
  const known = existsSync(stateFile) ? (JSON.parse(readFileSync(stateFile, 'utf8')) as Campaign) : undefined
  const count = Number(options.count ?? known?.count ?? 10_000)
  if (known !== undefined && options.new !== true && goesOn(known, count)) return { ...known, count }
  const began = new Date()
  const seed = Number(options.seed ?? process.env.BAILIWICK_SEED ?? began.getTime() % 2 ** 32)
  return { seed, count, began: began.toISOString(), page: relative(root, freePage('kills', began)), slices: [] }
}

async function run(kind: KillKind): Promise<Slice> {
  const { name, rounds, file, title } = kind
  const seed = nextSeed(campaign, kind)
  const tally = join(folder, 'tally.txt')
  rmSync(tally, { force: true })
  const began = performance.now()
  const commit = commitNow()
  const { code, output } = await vitest([file, ...(title === undefined ? [] : ['-t', title])], {
    BAILIWICK_NIGHTLY: '1',
    BAILIWICK_CHAOS_ROUNDS: String(rounds),
    BAILIWICK_SEED: String(seed),
    KILL_TALLY: tally,
  })
  const faults = existsSync(tally) ? faultsOf(readFileSync(tally, 'utf8')) : {}
  const ms = Math.round(performance.now() - began)
  // A run whose tests were all skipped has proved nothing.
  const held = code === 0 && Object.keys(faults).length > 0
  const ran = { kind: name, seed, rounds, faults, held, ms, commit }
  if (held) return ran
  writeFileSync(join(folder, `${name}-${seed}.txt`), output)
  const said = output.split('\n').map(plain)
  const found = said.find((line) => /^\s*(\S*Error|→)[: ]/.test(line)) ?? said.findLast((line) => line !== '') ?? ''
  return { ...ran, found: found.trim().slice(0, 300) }
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
  writeFileSync(join(root, campaign.page), pageOf(campaign, killKinds, machine()))
}
