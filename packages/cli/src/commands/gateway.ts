import type { Command } from 'commander'
import { runChild } from '../gateway/child.ts'
import type { ExitCode, Io } from '../io.ts'
import { gatewayPin } from '../repository.ts'
import { gatewayAddCommand } from './gateway-add.ts'
import { gatewayDiffCommand } from './gateway-diff.ts'

interface PinOptions {
  config: string
  out?: string
}

/** `gateway`: the operator's work on a gateway, except running it (`serve gateway`). */
export function gatewayCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const gateway = program
    .command('gateway')
    .summary('put servers of tools behind the MCP gateway')
    .description(
      'Puts servers of tools behind the MCP gateway, and compares them with what people approved. To run the gateway: serve gateway.',
    )
  gatewayAddCommand(gateway, io, done)
  gatewayDiffCommand(gateway, io, done)
  gateway
    .command('pin')
    .summary('read a server of tools, and print its entry for the registry')
    .description(
      'Starts or calls the server, and reads everything that it says of itself to a model: tools, prompts, resource templates, ' +
        'instructions. Writes that to the pin file, says what differs from the last one, and prints the entry of the registry with ' +
        'its hash (`manifest`). Say in the entry what each tool does, and propose it: registry apply.',
    )
    .argument('<name>', 'the server, as gateway.yaml names it')
    .requiredOption('--config <file>', 'the file that names the servers')
    .option('--out <file>', "the pin file; default: the entry's `pin`, or NAME.pin.json beside the configuration")
    .action(async (name: string, { config, out }: PinOptions) => {
      const args = [name, config, ...(out === undefined ? [] : [out])]
      const ended = await runChild(gatewayPin, { args, env: io.env })
      for (const line of linesOf(ended.err)) io.err(line)
      for (const line of linesOf(ended.out)) io.out(line)
      done(ended.code)
    })
}

const linesOf = (text: string): string[] => (text === '' ? [] : text.trimEnd().split('\n'))
