import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Returns the path `dir/name`, made by `make` if it does not exist. `make` writes to the path that it is given, which
 * is renamed only when `make` has resolved, so no process sees a partial file. Of several processes one makes it and
 * the others wait: the lock is a file that names its process, and counts only while that process lives.
 */
export async function cached(dir: string, name: string, make: (path: string) => Promise<void>): Promise<string> {
  const path = join(dir, name)
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const lock = join(dir, `${name}.lock`)
  while (!existsSync(path)) {
    if (!take(lock)) {
      await sleep(50)
      continue
    }
    try {
      if (existsSync(path)) break
      const stage = mkdtempSync(join(dir, `${name}.new-`))
      try {
        await make(join(stage, name))
        renameSync(join(stage, name), path)
      } finally {
        rmSync(stage, { recursive: true, force: true })
      }
    } finally {
      rmSync(lock, { force: true })
    }
  }
  return path
}

function take(lock: string): boolean {
  try {
    const file = openSync(lock, 'wx', 0o600)
    writeSync(file, String(process.pid))
    closeSync(file)
    return true
  } catch {
    removeIfDead(lock)
    return false
  }
}

/**
 * Renamed before it is removed: if two processes find the lock dead, one gets it, and the other does not remove the
 * next one's.
 */
function removeIfDead(lock: string): void {
  const aside = `${lock}.${process.pid}`
  try {
    const holder = readFileSync(lock, 'utf8')
    if (holder === '' || isAlive(Number(holder))) return
    renameSync(lock, aside)
    if (readFileSync(aside, 'utf8') !== holder) renameSync(aside, lock)
    else rmSync(aside)
  } catch {
    // It is gone meanwhile: the next try takes it.
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
