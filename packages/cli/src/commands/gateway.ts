import type { Command } from 'commander'
import { runChild } from '../gateway/child.ts'
import type { ExitCode, Io } from '../io.ts'
import { gatewayOperations, gatewayPin } from '../repository.ts'
import { gatewayAddCommand } from './gateway-add.ts'
import { gatewayDiffCommand } from './gateway-diff.ts'
import { gatewayInventoryCommand } from './gateway-inventory.ts'

interface PinOptions {
  config: string
  out?: string
}

/** `gateway`: the operator's work on a gateway, except running it (`serve gateway`). */
export function gatewayCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const gateway = program
    .command('gateway')
    .summary('put MCP servers, HTTP APIs and model providers behind the gateway')
    .description(
      'Prepares what the gateway serves, and compares it with what people approved: MCP servers, HTTP APIs and model providers. `bailiwick serve gateway` runs the gateway.',
    )
  gatewayAddCommand(gateway, io, done)
  gatewayDiffCommand(gateway, io, done)
  gatewayInventoryCommand(gateway, io, done)
  gateway
    .command('pin')
    .summary('print the registry entry of an MCP server, an API or a model provider')
    .description(
      'Reads everything that an MCP server says of itself to a model: its tools, prompts, resource templates and instructions. Writes that ' +
        'to the pin file, says what differs from the last one, and prints the entry for the registry, with its hash (`manifest`). ' +
        'For an HTTP API it reads the operations in the configuration, for a model provider the prices; both have no pin file. ' +
        'Write into the entry what each tool does, then propose it with `bailiwick registry apply`.',
    )
    .argument('<name>', 'the server, API or provider, as gateway.yaml names it')
    .requiredOption('--config <file>', 'the configuration of the gateway')
    .option('--out <file>', "the pin file; default: the entry's `pin`, or NAME.pin.json beside the configuration")
    .action(async (name: string, { config, out }: PinOptions) => {
      const args = [name, config, ...(out === undefined ? [] : [out])]
      done(await shown(gatewayPin, args, io))
    })
  gateway
    .command('operations')
    .summary('make the table of operations of an HTTP API from its OpenAPI description')
    .description(
      'Reads an OpenAPI description (3.x, YAML or JSON) and prints the table `operations` for the entry of the API in gateway.yaml. ' +
        'It takes names alone: of operations, parameters and members of bodies. Says what it leaves out. Reads nothing but the file.',
    )
    .argument('<file>', 'the description')
    .action(async (file: string) => done(await shown(gatewayOperations, [file], io)))
}

async function shown(main: string, args: readonly string[], io: Io): Promise<ExitCode> {
  const ended = await runChild(main, { args, env: io.env })
  for (const line of linesOf(ended.err)) io.err(line)
  for (const line of linesOf(ended.out)) io.out(line)
  return ended.code
}

const linesOf = (text: string): string[] => (text === '' ? [] : text.trimEnd().split('\n'))
