import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, cpSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { endWithThis } from '@bailiwick/native'

/** A folder that stands on a small file system, in a mount namespace of its own. It can be filled, and emptied again. */
export class SmallDisk implements AsyncDisposable {
  readonly #folder: string
  readonly #holder: ChildProcess
  readonly #aside = mkdtempSync(join(tmpdir(), 'bailiwick-aside-'))

  private constructor(folder: string, holder: ChildProcess) {
    this.#folder = folder
    this.#holder = holder
  }

  /** With what the folder holds now. The user becomes root in there, so that it may mount. */
  static async of(folder: string, megabytes: number): Promise<SmallDisk> {
    const script = 'mount -t tmpfs -o size=$3m none "$1" && cp -a "$2/." "$1" && echo ready && exec sleep 86400'
    const copy = mkdtempSync(join(tmpdir(), 'bailiwick-copy-'))
    cpSync(folder, copy, { recursive: true })
    const args = ['--mount', '--map-root-user', 'sh', '-ec', script, 'sh', folder, copy, String(megabytes)]
    const holder = spawn('unshare', args, { stdio: ['ignore', 'pipe', 'inherit'] })
    endWithThis(holder)
    const [said] = (await Promise.race([once(holder.stdout, 'data'), once(holder, 'exit')])) as [unknown]
    rmSync(copy, { recursive: true })
    if (String(said).trim() !== 'ready') throw new Error('no small file system')
    return new SmallDisk(folder, holder)
  }

  /** What a process that is to see the folder is started through. */
  get through(): readonly string[] {
    return ['nsenter', '--target', String(this.#holder.pid), '--user', '--mount', '--preserve-credentials']
  }

  /** The folder as others see it. */
  get seen(): string {
    return `/proc/${this.#holder.pid}/root${this.#folder}`
  }

  /** To the last byte. */
  fill(): void {
    const fd = openSync(join(this.seen, 'ballast'), 'a')
    try {
      for (const size of [2 ** 20, 4096, 1]) writeAll(fd, Buffer.alloc(size))
    } finally {
      closeSync(fd)
    }
  }

  free(): void {
    rmSync(join(this.seen, 'ballast'), { force: true })
  }

  /** A copy that outlives the file system. */
  copy(): string {
    cpSync(this.seen, this.#aside, { recursive: true })
    return this.#aside
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#holder, 'exit')
    this.#holder.kill('SIGKILL')
    await ended
    rmSync(this.#aside, { recursive: true, force: true })
  }
}

/** As often as there is room for it. */
function writeAll(fd: number, block: Buffer): void {
  for (;;)
    try {
      if (writeSync(fd, block) < block.length) return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return
      throw error
    }
}
