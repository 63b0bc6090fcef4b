import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const bailiwick = join(import.meta.dirname, '../../packages/cli/src/main.ts')

/** Runs `bailiwick verify` in a process of its own: embedded, this process is also the system, and must keep running. */
export function verify(log: string, vkey: string): Promise<{ status: unknown; text: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [bailiwick, 'verify', '--log', log, '--vkey', vkey], (error, out, err) =>
      resolve({ status: error === null ? 0 : error.code, text: `${out}${err}` }),
    )
  })
}

/** Returns the result of `check` for a copy of the log with one changed byte in its first bundle of entries, and that bundle. */
export async function withFlippedByte<T>(
  log: string,
  check: (copy: string) => Promise<T>,
): Promise<{ bundle: string; flipped: T }> {
  const copy = mkdtempSync(join(tmpdir(), 'bailiwick-flipped-'))
  try {
    cpSync(log, copy, { recursive: true })
    const bundle = firstBundle(copy)
    const bytes = readFileSync(join(copy, bundle))
    bytes[100] = (bytes[100] ?? 0) ^ 1
    writeFileSync(join(copy, bundle), bytes)
    return { bundle, flipped: await check(copy) }
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
}

/** The bundle with the first leaves: the full one once there are 256, until then the newest partial one. */
function firstBundle(log: string): string {
  const full = 'tile/entries/000'
  if (existsSync(join(log, full))) return full
  const widths = readdirSync(join(log, `${full}.p`)).map(Number)
  return `${full}.p/${Math.max(...widths)}`
}
