import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { errorCode, ServiceError } from '@bailiwick/errors'
import { backUp, paths, restore } from '@bailiwick/installation'
import { lockFile } from '@bailiwick/kit'
import type { Command } from 'commander'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { operatorOf } from '../operator-client.ts'
import { type DataOption, withData } from '../options.ts'

export function backupCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const command = program
    .command('backup')
    .summary('copy the data directory of a stopped installation')
    .description(
      'Copies everything, keys included, into a folder that is not there yet. The copy is marked: an installation that starts ' +
        'from it first revokes everything.',
    )
    .argument('<folder>', 'where to')
  withData(command, io).action(async (target: string, { data }: DataOption) => {
    await refuseRunning(data)
    using _ = holdLocks(data)
    const { made_at, files } = backUp({ data, target, now: io.clock.now(), random: (n) => io.random(n) })
    io.out(
      `Backed up ${Object.keys(files).length} files to ${target}, as of ${made_at}. It holds private keys: keep it like them.`,
    )
    done(exitCodes.ok)
  })
}

export function restoreCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const command = program
    .command('restore')
    .summary('put a backup back; everything that it remembers is revoked at the first start')
    .description(
      'Checks the backup file by file, and copies it into an empty data directory. The first start declares everything ' +
        'revoked before it serves, because the backup does not know what was withdrawn after it was made.',
    )
    .argument('<folder>', 'the backup')
  withData(command, io).action(async (source: string, { data }: DataOption) => {
    const { made_at } = restore({ source, data })
    for (const line of [
      `Restored ${data} from the backup of ${made_at}.`,
      'The first start revokes everything that it remembers. Keys that were revoked since then are not: revoke them again.',
      'Words and calls that were erased since then are back: bailiwick erase --again FILE erases them (docs/audit/erasure.md).',
    ])
      io.out(line)
    done(exitCodes.ok)
  })
}

async function refuseRunning(data: string): Promise<void> {
  const answers = await operatorOf(data)
    .failing()
    .then(
      // Separate services: one line for each that does not answer.
      (failing) => failing.length === 0 || !failing.every((line) => line.endsWith(': service_unready')),
      (error) => errorCode(error) !== 'service_unready',
    )
  if (answers) throw mustStop(data)
}

/**
 * Takes the locks that an embedded bus and the writer of a log hold while they run. This detects a process whose socket is gone or does not
 * answer, and prevents a start while the copy is made.
 */
function holdLocks(data: string): Disposable {
  using held = new DisposableStack()
  for (const file of [paths(data).busLock, paths(data).logLock]) {
    // Without its folder there is nothing to lock.
    if (!existsSync(dirname(file))) continue
    try {
      held.use(lockFile(file, 'bus_locked'))
    } catch (error) {
      throw errorCode(error) === 'bus_locked' ? mustStop(data, { cause: error }) : error
    }
  }
  return held.move()
}

const mustStop = (data: string, options?: ErrorOptions) =>
  new ServiceError('config_invalid', `what runs on ${data} must stop first: a copy of it now would be torn`, options)
