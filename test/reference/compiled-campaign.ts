import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { commitNow, freePage, machine } from '../run-page.ts'
import type { Ran } from './compiled/run-cases.ts'
import { type Campaign, casesIn, faultsIn, goesOn, nextSeed, pageOf, type Slice } from './compiled-campaign-state.ts'

// npm run nightly -- compiled-policies [--count 5000000] [--minutes M] [--seed N] [--new]
// Compares compiled policies with Cedar in slices, each a process with a seed of its own. What was found is kept after every slice in
// out/compiled-policies and in the campaign's page in test/runs, so it goes on over as many nights as it takes.

const root = join(import.meta.dirname, '../..')
const folder = join(root, 'out/compiled-policies')
const stateFile = join(folder, 'campaign.json')
/** Small enough that little is lost with one that is interrupted. */
const ofASlice = 20_000
const text = { type: 'string' } as const
const { values: options } = parseArgs({
  options: { count: text, minutes: text, seed: text, new: { type: 'boolean' } },
})
mkdirSync(folder, { recursive: true })
const campaign = opened()
const until = performance.now() + Number(options.minutes ?? Number.POSITIVE_INFINITY) * 60_000
for (let n = 0; goesOn(campaign, campaign.count); n++) {
  const longest = Math.max(0, ...campaign.slices.map(({ ms }) => ms))
  if (n > 0 && performance.now() + longest > until) break
  const slice = await run()
  campaign.slices.push(slice)
  keep()
  const { seed, cases, ms, fault } = slice
  const said = fault === undefined ? 'no difference' : `A FAULT: ${fault.slice(0, 300)}`
  const all = `${casesIn(campaign.slices)} of ${campaign.count}`
  console.log(`compiled policies: ${all}; ${cases} of seed ${seed} in ${Math.round(ms / 1000)} s: ${said}`)
}
if (faultsIn(campaign.slices).length > 0) process.exitCode = 1

/** The campaign that was interrupted, or a new one. */
function opened(): Campaign {
  const known = existsSync(stateFile) ? (JSON.parse(readFileSync(stateFile, 'utf8')) as Campaign) : undefined
  const count = Number(options.count ?? known?.count ?? 5_000_000)
  if (known !== undefined && options.new !== true && goesOn(known, count)) return { ...known, count }
  const began = new Date()
  const seed = Number(options.seed ?? process.env.BAILIWICK_SEED ?? began.getTime() % 2 ** 31)
  return {
    seed,
    count,
    began: began.toISOString(),
    page: relative(root, freePage('compiled-policies', began)),
    slices: [],
  }
}

async function run(): Promise<Slice> {
  const [seed, commit, began] = [nextSeed(campaign), commitNow(), performance.now()]
  const count = Math.min(ofASlice, campaign.count - casesIn(campaign.slices))
  const program = join(import.meta.dirname, 'compiled/run-cases.ts')
  const child = spawn(process.execPath, [program, String(seed), String(count)], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  const code = await new Promise((resolve) => child.once('close', resolve))
  // Without a result it was killed, or is broken: nothing is known of this slice, and the next start runs it again.
  if (code !== 0) throw new Error(`the slice of seed ${seed} ended with ${code}`)
  return { ...(JSON.parse(output) as Ran), seed, ms: Math.round(performance.now() - began), commit }
}

/** Whole or not at all: a campaign that is interrupted here goes on from the slice before. */
function keep(): void {
  writeFileSync(`${stateFile}.new`, JSON.stringify(campaign, null, 1))
  renameSync(`${stateFile}.new`, stateFile)
  writeFileSync(join(root, campaign.page), pageOf(campaign, machine()))
}
