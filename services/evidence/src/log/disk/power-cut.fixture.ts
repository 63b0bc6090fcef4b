import { mkdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import type { DurableHandle } from '@bailiwick/kit'
import type { LogFs } from './log-fs.ts'

type Node = FileNode | DirNode
interface FileNode {
  kind: 'file'
  now: Buffer
  synced: Buffer
}
interface DirNode {
  kind: 'dir'
  now: Map<string, Node>
  synced: Map<string, Node>
}

/**
 * A disk in memory that promises no more than POSIX does. After a power cut, each file or name that was not synced may be there, partly
 * there or gone, independently of the others. The power is cut before or after the `cutAt`-th step, and nothing works from then on.
 */
export class PowerCutDisk implements LogFs {
  readonly #root: DirNode = aDir()
  readonly #home: string
  #steps = 0
  readonly #cutAt: number
  readonly #side: 'before' | 'after'

  /** `home` is the folder on this disk. It exists durably. */
  constructor(home: string, cutAt = Number.POSITIVE_INFINITY, side: 'before' | 'after' = 'before') {
    this.#home = home
    this.#cutAt = cutAt
    this.#side = side
  }

  get steps(): number {
    return this.#steps
  }

  /** Whether the power is gone. */
  get isCut(): boolean {
    return this.#steps >= this.#cutAt
  }

  readonly open = async (path: string, flags: string): Promise<DurableHandle> => {
    const at = path.replace(/\/$/, '')
    if (flags === 'r') return this.#handle(this.#find(at))
    const { parent, name } = this.#place(at)
    return this.#step(() => {
      const there = parent.now.get(name)
      if (there !== undefined && flags === 'wx') throw failure('EEXIST')
      if (there === undefined && flags === 'r+') throw failure('ENOENT')
      if (there?.kind === 'dir') throw failure('EISDIR')
      const file = there ?? { kind: 'file' as const, now: Buffer.alloc(0), synced: Buffer.alloc(0) }
      if (flags === 'w') file.now = Buffer.alloc(0)
      parent.now.set(name, file)
      return this.#handle(file)
    })
  }

  readonly rename = async (from: string, to: string): Promise<void> => {
    const [source, target] = [this.#place(from), this.#place(to)]
    this.#step(() => {
      const node = source.parent.now.get(source.name)
      if (node === undefined) throw failure('ENOENT')
      source.parent.now.delete(source.name)
      target.parent.now.set(target.name, node)
    })
  }

  readonly unlink = async (path: string): Promise<void> => {
    const { parent, name } = this.#place(path)
    this.#step(() => {
      if (!parent.now.delete(name)) throw failure('ENOENT')
    })
  }

  readonly mkdir = async (path: string): Promise<void> => {
    if (path === this.#home) throw failure('EEXIST')
    const { parent, name } = this.#place(path)
    if (parent.now.has(name)) throw failure('EEXIST')
    this.#step(() => void parent.now.set(name, aDir()))
  }

  readonly rmdir = async (path: string): Promise<void> => {
    const { parent, name } = this.#place(path)
    this.#step(() => {
      const node = parent.now.get(name)
      if (node?.kind !== 'dir' || node.now.size > 0) throw failure('ENOTEMPTY')
      parent.now.delete(name)
    })
  }

  readonly readdir = async (path: string): Promise<string[]> => {
    const node = this.#find(path)
    if (node.kind === 'file') throw failure('ENOTDIR')
    return [...node.now.keys()]
  }

  readonly readFile = async (path: string): Promise<Uint8Array> => {
    const node = this.#find(path)
    if (node.kind === 'dir') throw failure('EISDIR')
    return Buffer.from(node.now)
  }

  readonly readHot = (path: string): Promise<Uint8Array> => this.readFile(path)

  /** Puts what exists once the power is back into a folder. `random` returns numbers from 0 to below 1. */
  recover(into: string, random: () => number): void {
    const put = (node: Node, path: string): void => {
      if (node.kind === 'file') {
        writeFileSync(path, contentAfter(node, random))
        return
      }
      mkdirSync(path, { recursive: true })
      for (const name of new Set([...node.now.keys(), ...node.synced.keys()])) {
        const [now, synced] = [node.now.get(name), node.synced.get(name)]
        const kept = now === synced || random() < 0.5 ? now : synced
        if (kept !== undefined) put(kept, join(path, name))
      }
    }
    put(this.#root, into)
  }

  #handle(node: Node): DurableHandle {
    const sync = async () => this.#step(() => void keep(node))
    return {
      write: async (bytes, offset, length, position) =>
        this.#step(() => {
          if (node.kind === 'dir') throw failure('EISDIR')
          const at = position ?? node.now.length
          const grown = Buffer.alloc(Math.max(node.now.length, at + length))
          grown.set(node.now)
          grown.set(bytes.subarray(offset, offset + length), at)
          node.now = grown
          return { bytesWritten: length }
        }),
      sync,
      datasync: sync,
      close: async () => undefined,
    }
  }

  #step<T>(act: () => T): T {
    const n = this.#steps++
    if (n > this.#cutAt || (n === this.#cutAt && this.#side === 'before')) throw failure('EIO')
    const result = act()
    if (n === this.#cutAt) throw failure('EIO')
    return result
  }

  #find(path: string): Node {
    let node: Node = this.#root
    for (const name of relative(this.#home, path).split('/').filter(Boolean)) {
      const next: Node | undefined = node.kind === 'dir' ? node.now.get(name) : undefined
      if (next === undefined) throw failure('ENOENT')
      node = next
    }
    return node
  }

  #place(path: string): { parent: DirNode; name: string } {
    const parent = this.#find(dirname(path))
    if (parent.kind === 'file') throw failure('ENOTDIR')
    return { parent, name: basename(path) }
  }
}

const aDir = (): DirNode => ({ kind: 'dir', now: new Map(), synced: new Map() })

function keep(node: Node): void {
  if (node.kind === 'file') node.synced = Buffer.from(node.now)
  else node.synced = new Map(node.now)
}

/** Old, new, or one of the two for each sector. A file system may have grown the file before its bytes arrived. */
function contentAfter({ now, synced }: FileNode, random: () => number): Buffer {
  if (now.equals(synced)) return now
  const which = random()
  if (which < 0.25) return synced
  if (which < 0.5) return now
  const torn = Buffer.alloc(random() < 0.5 ? now.length : synced.length)
  for (let at = 0; at < torn.length; at += 512)
    (random() < 0.5 ? now : synced).copy(torn, at, at, Math.min(at + 512, torn.length))
  return torn
}

const failure = (code: string) => Object.assign(new Error(code), { code })
