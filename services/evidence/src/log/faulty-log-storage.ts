import type { LogStorage } from './log-storage.ts'

/** `before`: nothing happened. `after`: it all happened, and only the answer was lost. `partly`: only some of the files were written. */
export type Break = 'before' | 'partly' | 'after'

export interface StorageWrite {
  method: 'enter' | 'write' | 'discardBeyond' | 'discardPartial' | 'swapHead' | 'publishCheckpoint'
  /** Counts the calls of this method, from 0. */
  n: number
}

/** A storage whose writes break where `plan` says so, over a real one, which it owns. */
export function faultyLogStorage(real: LogStorage, plan: (write: StorageWrite) => Break | undefined): LogStorage {
  const calls = { enter: 0, write: 0, discardBeyond: 0, discardPartial: 0, swapHead: 0, publishCheckpoint: 0 }
  async function broken(method: StorageWrite['method'], effect: () => Promise<void>, some = effect): Promise<void> {
    const where = plan({ method, n: calls[method]++ })
    if (where === 'partly') await some()
    else if (where !== 'before') await effect()
    if (where !== undefined) throw Object.assign(new Error(`broken ${where} its effect`), { code: 'EIO' })
  }
  return {
    read: (path) => real.read(path),
    hasTiles: () => real.hasTiles(),
    discardBeyond: (size) => broken('discardBeyond', () => real.discardBeyond(size)),
    outgrown: (size) => real.outgrown(size),
    discardPartial: (place) => broken('discardPartial', () => real.discardPartial(place)),
    readJournal: (size) => real.readJournal(size),
    enter: (record, size) => broken('enter', () => real.enter(record, size)),
    readHead: () => real.readHead(),
    readCheckpoint: () => real.readCheckpoint(),
    write: (files) =>
      broken(
        'write',
        () => real.write(files),
        () => real.write(files.filter((_, n) => n % 2 === 0)),
      ),
    swapHead: (expected, next) => broken('swapHead', () => real.swapHead(expected, next)),
    publishCheckpoint: (note) => broken('publishCheckpoint', () => real.publishCheckpoint(note)),
    [Symbol.asyncDispose]: () => real[Symbol.asyncDispose](),
  }
}
