import { spawnSync } from 'node:child_process'
import { arch, availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os'

export interface Machine {
  cpu: string
  cores: number
  memory: string
  disk: string
  kernel: string
  node: string
  /** The commit that was measured, with a `+` where files had been changed. */
  commit: string
  /** Runnable tasks in the minute before. If there were more than cores, the numbers include other work. */
  load: number
}

/** The machine of the measurement; `dir` is on the disk. */
export function machineOf(dir: string): Machine {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memory: `${(totalmem() / 2 ** 30).toFixed(1)} GiB`,
    disk: diskOf(dir),
    kernel: `${type()} ${release()} ${arch()}`,
    node: process.version,
    commit: commitOf(import.meta.dirname),
    load: loadavg()[0] ?? 0,
  }
}

/** On a file system in memory nothing is durable, and every ratio to an fdatasync is meaningless: the line shows it. */
function diskOf(dir: string): string {
  const asked = spawnSync('df', ['--output=source,fstype', dir], { encoding: 'utf8' })
  const [source = 'unknown', fileSystem = 'unknown'] = asked.stdout?.trim().split('\n').at(-1)?.split(/\s+/) ?? []
  return `${source.replace('/dev/', '')}, ${fileSystem}`
}

function commitOf(dir: string): string {
  const git = (...args: string[]) => spawnSync('git', args, { cwd: dir, encoding: 'utf8' }).stdout?.trim() ?? ''
  const changed = git('status', '--porcelain', '--untracked-files=no', '--', ':!/docs') !== ''
  return `${git('rev-parse', '--short=7', 'HEAD') || 'unknown'}${changed ? '+' : ''}`
}
