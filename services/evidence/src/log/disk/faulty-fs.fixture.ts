import type { LogFs } from './log-fs.ts'

/** A call that changes the file system, or makes a change durable. */
export interface FsWrite {
  call: 'open' | 'write' | 'sync' | 'rename' | 'unlink' | 'mkdir' | 'rmdir'
  path: string
  /** Counts all such calls, from 0. */
  n: number
}

/** `before`: nothing happened. `after`: it happened, but an error was returned. */
export type Side = 'before' | 'after'

/** A real file system whose calls fail where `plan` says so. */
export function faultyFs(real: LogFs, plan: (write: FsWrite) => Side | undefined, code = 'EIO'): LogFs {
  let n = 0
  async function broken<T>(call: FsWrite['call'], path: string, act: () => Promise<T>): Promise<T> {
    const side = plan({ call, path, n: n++ })
    const failure = Object.assign(new Error(`${code} ${side} ${call} of ${path}`), { code })
    if (side === 'before') throw failure
    const result = await act()
    if (side === 'after') throw failure
    return result
  }
  return {
    ...real,
    async open(path, flags, mode) {
      const opened = () => real.open(path, flags, mode)
      const handle = await (flags === 'r' ? opened() : broken('open', path, opened))
      return {
        write: (...args) => broken('write', path, () => handle.write(...args)),
        sync: () => broken('sync', path, () => handle.sync()),
        datasync: () => broken('sync', path, () => handle.datasync()),
        close: () => handle.close(),
      }
    },
    rename: (from, to) => broken('rename', to, () => real.rename(from, to)),
    unlink: (path) => broken('unlink', path, () => real.unlink(path)),
    mkdir: (path, options) => broken('mkdir', path, () => real.mkdir(path, options)),
    rmdir: (path) => broken('rmdir', path, () => real.rmdir(path)),
  }
}
