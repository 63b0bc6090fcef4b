import type { Command } from 'commander'
import type { ExitCode, Io } from '../io.ts'
import { benchMain } from '../repository.ts'
import { serve } from './serve.ts'

/** The options belong to the bench itself: everything after `bench` is passed on unchanged. */
export function benchCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  program
    .command('bench')
    .summary('measure Bailiwick on this machine')
    .description(
      'Measures, as ratios in one run, what a durable publish, a decision, a credential and a revocation cost here. Reports, ' +
        'asserts nothing.',
    )
    .helpOption(false)
    .allowUnknownOption()
    .argument(
      '[options...]',
      'log …: write one and leave it to be checked; MEASURE (pdp, …), --quick, --json, --write, --dir DIR; --help tells more',
    )
    .action(async ([first, ...rest]: string[]) => {
      const [name, options] =
        first === 'log'
          ? (['log-main', rest] as const)
          : (['main', first === undefined ? [] : [first, ...rest]] as const)
      done(await serve(benchMain(name), { ...io.env }, { ...io, args: options }))
    })
}
