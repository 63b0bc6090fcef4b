import { renameSync, rmSync, writeFileSync } from 'node:fs'

/** Where a person finds an address that is a secret. */
export type ShownAddress = { address: string } | { file: string }

/**
 * Shows a secret address on a terminal. Every other output may be kept, as a container's log is, and others may read that: the
 * address then goes into `file`, which only its owner can read, and the file is named.
 */
export function showAddress(address: string, file: string, { terminal }: { terminal: boolean }): ShownAddress {
  if (terminal) return { address }
  rmSync(`${file}.new`, { force: true })
  writeFileSync(`${file}.new`, `${address}\n`, { mode: 0o600, flag: 'wx', flush: true })
  renameSync(`${file}.new`, file)
  return { file }
}
