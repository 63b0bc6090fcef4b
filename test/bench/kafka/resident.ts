import { readFileSync } from 'node:fs'

/** Memory of a process that is in RAM, in MiB. Linux only. */
export const residentMiB = (pid: number): number => statusMiB(pid, 'VmRSS')

/** The part of it that is its own, without the pages of its files, which the kernel caches and reclaims as it likes. */
export const ownMiB = (pid: number): number => statusMiB(pid, 'RssAnon')

function statusMiB(pid: number, field: 'VmRSS' | 'RssAnon'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) / 1024
}
