import type { KillKind } from './kill-kinds.ts'

/** One run of vitest, and what it found. */
export interface Slice {
  kind: string
  seed: number
  rounds: number
  /** How often each fault happened. */
  faults: Readonly<Record<string, number>>
  held: boolean
  ms: number
  commit: string
  /** What a slice that did not hold said first. */
  found?: string
}

/** What `npm run nightly -- kills` keeps from one start to the next. */
export interface Campaign {
  seed: number
  count: number
  /** RFC 3339 */
  began: string
  /** In test/runs. */
  page: string
  slices: Slice[]
}

/** How many faults there were in these slices. */
export const faultsIn = (slices: readonly Pick<Slice, 'faults'>[]): number =>
  slices.flatMap(({ faults }) => Object.values(faults)).reduce((sum, n) => sum + n, 0)

/** Whether a campaign goes on: it was interrupted before it had as many faults as are wanted now. */
export const goesOn = (campaign: Campaign, count: number): boolean => faultsIn(campaign.slices) < count

/** The kind that is furthest behind its share. */
export function nextKind(kinds: readonly [KillKind, ...KillKind[]], slices: readonly Slice[]): KillKind {
  const done = ({ name, share }: KillKind) => faultsIn(slices.filter(({ kind }) => kind === name)) / share
  return kinds.reduce((least, kind) => (done(kind) < done(least) ? kind : least))
}

/** Follows from the campaign's seed and from how many slices of this kind there were: the slice that was interrupted is run again. */
export function nextSeed({ seed, slices }: Campaign, { name }: KillKind): number {
  return (seed + slices.filter(({ kind }) => kind === name).length * 7919) % 2 ** 32
}

/** What a tally file says: a line for each fault. */
export function faultsOf(tally: string): Record<string, number> {
  const faults: Record<string, number> = {}
  for (const line of tally.split('\n')) if (line !== '') faults[line] = (faults[line] ?? 0) + 1
  return faults
}

/** A slice in one line. */
export function rowOf({ kind, seed, rounds, held, ms, faults, found }: Slice): string {
  const said = found === undefined ? '' : `: ${found}`
  return `${kind}: ${faultsIn([{ faults }])} in ${rounds} rounds, seed ${seed}, ${Math.round(ms / 1000)} s, ${held ? 'held' : 'DID NOT HOLD'}${said}`
}

/** The campaign's page in test/runs. */
export function pageOf({ seed, count, began, slices }: Campaign, kinds: readonly KillKind[], machine: string): string {
  const failed = slices.filter(({ held }) => !held)
  const done = faultsIn(slices)
  const result = failed.length === 0 ? 'held' : `${failed.length} of ${slices.length} slices did not hold`
  const rows = kinds.flatMap(({ name, mode }) => {
    const mine = slices.filter(({ kind }) => kind === name)
    const seconds = Math.round(mine.reduce((sum, { ms }) => sum + ms, 0) / 1000)
    const held = mine.filter((slice) => slice.held).length
    return mine.length === 0
      ? []
      : [`| ${name} | ${mode} | ${mine.length} | ${held} | ${faultsIn(mine)} | ${seconds} |`]
  })
  const faults = new Map<string, number>()
  for (const slice of slices)
    for (const [what, n] of Object.entries(slice.faults)) faults.set(what, (faults.get(what) ?? 0) + n)
  return [
    `# ${began.slice(0, 10)}: kills`,
    '',
    'Processes are killed with SIGKILL and stopped with SIGSTOP at any moment, the broker and Redis are killed, and a disk is full, in slices with a seed of their own.',
    'After each slice, what people and agents were told is held against the log.',
    'Nothing acknowledged may be lost, doubled or without evidence, nothing signed without an earlier intent, nothing over budget, and nothing allowed after a revocation.',
    '',
    `- result: **${result}**, ${done} faults of ${count}${done < count ? ' so far' : ''}`,
    `- seed: ${seed} (\`npm run nightly -- kills --new --seed ${seed} --count ${count}\`)`,
    `- commits: ${[...new Set(slices.map(({ commit }) => commit))].join('; ')}`,
    `- machine: ${machine}`,
    '',
    '| kind | mode | slices | held | faults | s |',
    '|---|---|---|---|---|---|',
    ...rows,
    '',
    '| fault | times |',
    '|---|---|',
    ...[...faults].sort().map(([what, n]) => `| ${what} | ${n} |`),
    '',
    '```text',
    ...slices.map(rowOf),
    '```',
    '',
  ].join('\n')
}
