import { kinds, type Ran, type Seen } from './compiled/run-cases.ts'

/** One process of the campaign, and what it found. */
export interface Slice extends Ran {
  seed: number
  ms: number
  commit: string
}

/** What `npm run nightly -- compiled-policies` keeps from one start to the next. */
export interface Campaign {
  seed: number
  count: number
  /** RFC 3339 */
  began: string
  /** In test/runs. */
  page: string
  slices: Slice[]
}

export const casesIn = (slices: readonly Pick<Slice, 'cases'>[]): number =>
  slices.reduce((sum, { cases }) => sum + cases, 0)
export const goesOn = ({ slices }: Pick<Campaign, 'slices'>, count: number): boolean => casesIn(slices) < count
export const faultsIn = (slices: readonly Slice[]): Slice[] => slices.filter(({ fault }) => fault !== undefined)

/** Follows from the campaign's seed and the number of slices before: a slice that was interrupted is run again. Never 0. */
export const nextSeed = ({ seed, slices }: Pick<Campaign, 'seed' | 'slices'>): number =>
  ((seed + slices.length * 7919) % (2 ** 31 - 1)) + 1

/** The campaign's page in test/runs. */
export function pageOf({ seed, count, began, slices }: Campaign, machine: string): string {
  const failed = faultsIn(slices)
  const done = casesIn(slices)
  const seen = (kind: keyof Seen) => slices.reduce((sum, slice) => sum + slice.seen[kind], 0)
  const seconds = Math.round(slices.reduce((sum, { ms }) => sum + ms, 0) / 1000)
  const result =
    failed.length === 0 ? 'no difference' : `${failed.length} of ${slices.length} slices ended with a fault`
  return [
    `# ${began.slice(0, 10)}: compiled-policies`,
    '',
    'Generated requests are put to compiled policies and to Cedar, over all operators, extensions, errors and edges of 64 bits, in slices with a seed of their own.',
    'Both give the same decision, reasons and erring policies, or the compiled engine leaves the answer to Cedar.',
    '',
    `- result: **${result}**, ${done} requests of ${count}${done < count ? ' so far' : ''}, in ${seconds} s`,
    `- seed: ${seed} (\`npm run nightly -- compiled-policies --new --seed ${seed} --count ${count}\`)`,
    `- commits: ${[...new Set(slices.map(({ commit }) => commit))].join('; ')}`,
    `- machine: ${machine}`,
    '',
    '| requests | times |',
    '|---|--:|',
    ...kinds.map((kind) => `| ${kind} | ${seen(kind)} |`),
    '',
    ...failed.flatMap(({ seed: of, fault }) => [`Seed ${of}:`, '', '```text', fault ?? '', '```', '']),
  ].join('\n')
}
