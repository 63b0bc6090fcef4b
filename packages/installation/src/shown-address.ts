import { renameSync, rmSync, writeFileSync } from 'node:fs'

/** Where a person finds a secret address. */
export type ShownAddress = { address: string } | { file: string }

/**
 * Shows a secret address on a terminal. Any other output may be stored, like a container's log, and others may read that. There the address
 * is written to `file`, readable only by its owner, and the file is named.
 */
export function showAddress(address: string, file: string, { terminal }: { terminal: boolean }): ShownAddress {
  if (terminal) return { address }
  rmSync(`${file}.new`, { force: true })
  writeFileSync(`${file}.new`, `${address}\n`, { mode: 0o600, flag: 'wx', flush: true })
  renameSync(`${file}.new`, file)
  return { file }
}
