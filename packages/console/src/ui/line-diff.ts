/** One line of two texts, and in which of them it occurs. */
export type TextLine = readonly ['removed' | 'added' | 'kept', string]

/** Above this, the longest common part is not computed: everything that differs is shown as removed and added as a whole. */
const mostCompared = 1_000_000

/** The lines that `before` loses and `after` adds. Kept and removed lines are `before`; kept and added ones are `after`. */
export function lineDiff(before: string, after: string): TextLine[] {
  const [then, now] = [before.split('\n'), after.split('\n')]
  const most = Math.min(then.length, now.length)
  let head = 0
  while (head < most && then[head] === now[head]) head++
  let tail = 0
  while (tail < most - head && then.at(-1 - tail) === now.at(-1 - tail)) tail++
  const kept = (lines: string[]): TextLine[] => lines.map((line) => ['kept', line])
  const middle = between(then.slice(head, then.length - tail), now.slice(head, now.length - tail))
  return [...kept(now.slice(0, head)), ...middle, ...kept(now.slice(now.length - tail))]
}

/** By the longest common subsequence. */
function between(then: string[], now: string[]): TextLine[] {
  const gone = (lines: string[]): TextLine[] => lines.map((line) => ['removed', line])
  const come = (lines: string[]): TextLine[] => lines.map((line) => ['added', line])
  if (then.length * now.length > mostCompared) return [...gone(then), ...come(now)]
  const width = now.length + 1
  const common = new Uint32Array((then.length + 1) * width)
  const at = (i: number, j: number) => common[i * width + j] ?? 0
  for (let i = then.length - 1; i >= 0; i--)
    for (let j = now.length - 1; j >= 0; j--)
      common[i * width + j] = then[i] === now[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
  const lines: TextLine[] = []
  let [i, j] = [0, 0]
  while (i < then.length && j < now.length) {
    const [old, young] = [then[i] as string, now[j] as string]
    if (old === young) {
      lines.push(['kept', old])
      i++
      j++
    } else if (at(i + 1, j) >= at(i, j + 1)) {
      lines.push(['removed', old])
      i++
    } else {
      lines.push(['added', young])
      j++
    }
  }
  return [...lines, ...gone(then.slice(i)), ...come(now.slice(j))]
}
