import { existsSync } from 'node:fs'
import { entitySchemas } from '@bailiwick/contracts'
import { generateKey, keyFilePath, writeKeyFile } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { Command } from 'commander'
import { stringify } from 'yaml'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { fileNameOf, usableEntry } from '../new-entry.ts'
import { collect } from '../options.ts'

interface PointOptions {
  resource: string[]
  baseUrl: string[]
  mayRelease?: boolean
  out: string
}

/** `keys point`: the two keys of an enforcement point (decision 7), and the registry entry that names them. */
export function keysPointCommand(keys: Command, io: Io, done: (code: ExitCode) => void): void {
  keys
    .command('point')
    .summary('make the keys of an enforcement point, and its entry for the registry')
    .description(
      'Makes the two keys of an enforcement point: one authenticates its calls, one signs its outcomes. Prints the entry that registers ' +
        'it, in YAML for `registry apply`. It is heard once people approved the entry.',
    )
    .argument('<id>', 'its name in the registry')
    .requiredOption(
      '--resource <type:id>',
      'what it guards, such as tool:invoices/read; may be given more than once',
      collect,
    )
    .requiredOption('--base-url <url>', 'where agents reach it; may be given more than once', collect)
    .option('--may-release', 'it may say that a call was not executed, which gives the budget back, or that it goes on')
    .option('--out <dir>', 'the folder of the key files', '.')
    .action((id: string, { resource, baseUrl, mayRelease = false, out }: PointOptions) => {
      const caller = generateKey('pep-caller')
      const outcome = generateKey('outcome')
      const point = usableEntry(entitySchemas['enforcement-point'], {
        id,
        caller_jwk: caller.publicJwk,
        outcome_jwk: outcome.publicJwk,
        resources: resource.map(resourceOf),
        base_urls: baseUrl,
        may_release: mayRelease,
      })
      const name = fileNameOf(id)
      const files = [`${name}-caller`, `${name}-outcome`] as const
      for (const file of files)
        if (existsSync(keyFilePath(out, file)))
          throw new ServiceError('config_invalid', `there is a key file ${keyFilePath(out, file)} already`)
      writeKeyFile(out, files[0], caller)
      writeKeyFile(out, files[1], outcome)
      io.err(
        `The keys are in ${files.map((file) => keyFilePath(out, file)).join(' and ')}: give them to this enforcement point alone. Add the entry to your registry file, then: bailiwick registry apply FILE`,
      )
      for (const line of stringify({ enforcement_points: [point] }, { lineWidth: 0 })
        .trimEnd()
        .split('\n'))
        io.out(line)
      done(exitCodes.ok)
    })
}

/** `type:id`, or `type:prefix/` for everything below a URL. */
function resourceOf(text: string) {
  const cut = text.indexOf(':')
  if (cut < 1)
    throw new ServiceError('config_invalid', `--resource: ${text} is not type:id, such as tool:invoices/read`)
  const [type, id] = [text.slice(0, cut), text.slice(cut + 1)]
  return id.endsWith('/') ? { type, id_prefix: id } : { type, id }
}
