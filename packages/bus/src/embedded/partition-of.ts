import { hash } from 'node:crypto'

/** The partition of a key, for ever and in every process: the first 32 bits of its SHA-256, modulo the number of partitions. */
export function partitionOf(key: string, partitions: number): number {
  return partitions === 1 ? 0 : hash('sha256', key, 'buffer').readUInt32BE(0) % partitions
}
