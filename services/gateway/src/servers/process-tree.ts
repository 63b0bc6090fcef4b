import { readdirSync, readFileSync } from 'node:fs'

/** The variable that marks every process that a server started, directly or through others. */
export const markName = 'BAILIWICK_SERVER_PROCESS'

const mostRounds = 20

/**
 * Kills a process, its group, and everything that descends from it or carries its mark: a child that left the group, or whose parent is
 * gone, is found by the mark in its environment. Each process is stopped before the next look, so that none can fork away in between.
 *
 * Without `/proc` (macOS) only the group is killed. A process that clears its environment and leaves both group and parents escapes.
 */
export function killTree(pid: number, mark: string): void {
  signal(-pid, 'SIGKILL')
  signal(pid, 'SIGKILL')
  for (let round = 0; round < mostRounds; round++) {
    const found = descendants(pid, mark)
    if (found.length === 0) return
    for (const each of found) signal(each, 'SIGSTOP')
    for (const each of found) signal(each, 'SIGKILL')
  }
}

function descendants(root: number, mark: string): number[] {
  const parents = new Map<number, number>()
  const marked = new Set<number>()
  for (const entry of entriesOfProc()) {
    const pid = Number(entry)
    if (!Number.isInteger(pid) || pid === process.pid) continue
    const stat = statOf(pid)
    if (stat === undefined || stat.isZombie) continue
    parents.set(pid, stat.parent)
    if (stat.group === root || hasMark(pid, mark)) marked.add(pid)
  }
  const below = (pid: number): boolean => {
    for (let at: number | undefined = pid, depth = 0; at !== undefined && depth < 256; at = parents.get(at), depth++)
      if (at === root || marked.has(at)) return true
    return false
  }
  return [...parents.keys()].filter(below)
}

function entriesOfProc(): string[] {
  try {
    return readdirSync('/proc')
  } catch {
    return []
  }
}

/** The name of a process, in brackets, may hold anything: so the fields are read after its last bracket (proc(5)). */
function statOf(pid: number): { parent: number; group: number; isZombie: boolean } | undefined {
  const text = read(`/proc/${pid}/stat`)
  const [state, parent, group] = text?.slice(text.lastIndexOf(')') + 2).split(' ') ?? []
  if (state === undefined) return undefined
  return { parent: Number(parent), group: Number(group), isZombie: state === 'Z' || state === 'X' }
}

const hasMark = (pid: number, mark: string): boolean =>
  read(`/proc/${pid}/environ`)?.split('\0').includes(`${markName}=${mark}`) === true

/** Undefined for a process that is gone, or that belongs to another user. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return undefined
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // The process is gone, or it is not ours.
  }
}
