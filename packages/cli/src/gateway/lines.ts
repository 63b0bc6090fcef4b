import { relative } from 'node:path'
import type { ManifestChange, Plan } from './plan.ts'

const signs = { new: '+', gone: '-', changed: '~' } as const
const names = { tools: 'tool', prompts: 'prompt', templates: 'template' } as const

/** What a server now says differently, in lines for people: each thing that changed, and each place in it by JSON pointer. */
export function changeLines(changes: readonly ManifestChange[]): string[] {
  return changes.flatMap(({ kind, name, change, differences }) => {
    const thing = kind === 'tools' || kind === 'prompts' || kind === 'templates' ? names[kind] : kind
    return [
      `${signs[change]} ${thing}${name === undefined ? '' : ` ${JSON.stringify(name)}`}`,
      ...differences.map(differenceLine),
    ]
  })
}

function differenceLine({ pointer, before, after }: ManifestChange['differences'][number]): string {
  const at = `    ${pointer === '' ? '(all)' : pointer}: `
  if (after === undefined) return `${at}${shortened(JSON.stringify(before))} is removed`
  if (before === undefined) return `${at}${shortened(JSON.stringify(after))}`
  const [was, is] = [JSON.stringify(before), JSON.stringify(after)]
  const same = commonStart(was, is)
  return `${at}${shortened(was, same)} becomes ${shortened(is, same)}`
}

const longest = 240
const kept = 40

/** The part of a long text around its first difference, so that the change is always visible. */
function shortened(text: string, from = 0): string {
  const start = text.length <= longest ? 0 : Math.max(0, from - kept)
  const end = Math.min(text.length, start + longest)
  return `${start === 0 ? '' : '…'}${text.slice(start, end)}${end === text.length ? '' : `… (${text.length} characters)`}`
}

function commonStart(one: string, two: string): number {
  let at = 0
  while (at < one.length && one[at] === two[at]) at++
  return at
}

/** The lines that a file gains, loses or keeps around them. */
export function fileLines(path: string, { before, after }: NonNullable<Plan['file']>): string[] {
  const [old, next] = [linesOf(before ?? ''), linesOf(after)]
  let start = 0
  while (start < old.length && old[start] === next[start]) start++
  let end = 0
  while (end < old.length - start && old.at(-1 - end) === next.at(-1 - end)) end++
  return [
    `${before === null ? '+' : '~'} file ${path}`,
    ...old.slice(start, old.length - end).map((line) => `    - ${line}`),
    ...next.slice(start, next.length - end).map((line) => `    + ${line}`),
  ]
}

const linesOf = (text: string): string[] => (text === '' ? [] : text.replace(/\n$/, '').split('\n'))

/** Which labels are guesses, and why. */
export const guessLines = (guesses: Plan['guesses']): string[] =>
  guesses.length === 0
    ? []
    : [
        'GUESSED labels: check them, a guess was never tried. The label `guessed` marks them until you take it away.',
        ...guesses.map(({ tool, labels, why }) => `    ${tool}: ${labels.join(', ')} (${why.join('; ')})`),
      ]

/** A path as a person would type it here. */
export function shownPath(path: string): string {
  const fromHere = relative('', path)
  return fromHere.startsWith('..') ? path : fromHere
}
