import { generateKey, keyFilePath, writeKeyFile } from '@bailiwick/credentials'
import { paths, readInstallation } from '@bailiwick/installation'
import type { Command } from 'commander'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { keysSecretIn } from '../key-files.ts'
import { type DataOption, withData } from '../options.ts'

/** `keys auditor`: the key with which the console reads a remote evidence service. It counts once people have approved the entry. */
export function keysAuditorCommand(keys: Command, io: Io, done: (code: ExitCode) => void): void {
  const command = keys
    .command('auditor')
    .summary('make the key by which the console reads evidence on another machine')
    .description(
      'Makes a key in the key folder of the approval service on this machine, and prints the entry for `registry apply`. It ' +
        'reads what evidence tells auditors, and signs nothing that any topic takes.',
    )
  withData(command, io).action(({ data }: DataOption) => {
    readInstallation(data)
    const key = generateKey('auditor')
    const folder = paths(data).keys('approval')
    writeKeyFile(folder, 'auditor', key, keysSecretIn(io))
    io.err(
      `The key is ${keyFilePath(folder, 'auditor')}. It counts once this entry is in the registry (registry apply):`,
    )
    for (const line of ['auditors:', '  - id: console', '    name: The page Evidence of the console']) io.out(line)
    io.out(`    jwk: ${JSON.stringify(key.publicJwk)}`)
    done(exitCodes.ok)
  })
}
