import { appendFileSync } from 'node:fs'
import { relative } from 'node:path'

export interface Tested {
  status: string
  fileName: string
  location: { start: { line: number; column: number } }
  mutatorName: string
  replacement?: string
}

export const inWords = ({ status, fileName, location: { start }, mutatorName, replacement }: Tested): string => {
  const put = (replacement ?? '').replaceAll(/\s+/g, ' ').slice(0, 80)
  return `${status} ${fileName}:${start.line}:${start.column} ${mutatorName}: ${put}`
}

/** Prints each mutant's fate as soon as it is known, one line each: a stopped run keeps its findings. */
class LinesReporter {
  onMutantTested(tested: Tested): void {
    const fileName = relative(process.cwd(), tested.fileName)
    appendFileSync(process.env.BAILIWICK_STRYKER_LINES ?? '/dev/null', `${inWords({ ...tested, fileName })}\n`)
  }
}

export const strykerPlugins = [{ kind: 'Reporter', name: 'lines', injectableClass: LinesReporter }]
