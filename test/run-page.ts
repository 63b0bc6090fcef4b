import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { arch, cpus, platform, release, totalmem } from 'node:os'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const git = (...args: string[]) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim()

/** What ran: the commit, and whether the working tree has changes beyond it. */
export function commitNow(): string {
  const changed = git('status', '--porcelain', '--untracked-files=no') === '' ? '' : ', with uncommitted changes'
  return `${git('rev-parse', 'HEAD')}${changed}`
}

/** The machine, as a page of test/runs names it. */
export function machine(): string {
  const [cpu] = cpus()
  return `${cpus().length} × ${cpu?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${platform()} ${arch()} ${release()}, Node ${process.version}`
}

/** A page of test/runs that does not exist yet: no run overwrites another's results. The second of a day ends in `-2`. */
export function freePage(name: string, began: Date): string {
  const folder = join(root, 'test/runs')
  mkdirSync(folder, { recursive: true })
  const path = join(folder, `${began.toISOString().slice(0, 10)}-${name}`)
  for (let n = 1; ; n++) {
    const page = `${path}${n === 1 ? '' : `-${n}`}.md`
    if (!existsSync(page)) return page
  }
}

/** A line of output without the colours that some programs write even into a file. */
export function plain(line: string): string {
  return line.replaceAll(new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g'), '').trimEnd()
}
