import type { Command } from 'commander'
import { runChild } from '../gateway/child.ts'
import type { ExitCode, Io } from '../io.ts'
import { gatewayOperations, gatewayPin, gatewayRecord } from '../repository.ts'
import { gatewayAddCommand } from './gateway-add.ts'
import { gatewayDiffCommand } from './gateway-diff.ts'
import { gatewayInventoryCommand } from './gateway-inventory.ts'

interface PinOptions {
  config: string
  out?: string
}

interface RecordOptions {
  name: string
  user: string
  password: string
  browser?: string
}

/** `gateway`: the operator's work on a gateway, except running it (`serve gateway`). */
export function gatewayCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const gateway = program
    .command('gateway')
    .summary('put MCP servers, APIs, git servers, databases, web applications and model providers behind the gateway')
    .description(
      'Prepares what the gateway serves, and compares it with what people approved. `bailiwick serve gateway` runs the gateway.',
    )
  gatewayAddCommand(gateway, io, done)
  gatewayDiffCommand(gateway, io, done)
  gatewayInventoryCommand(gateway, io, done)
  gateway
    .command('pin')
    .summary('print the registry entry of a server, an API, a database, a web application or a model provider')
    .description(
      'Reads everything that an MCP server says of itself to a model: its tools, prompts, resource templates and instructions. Writes that ' +
        'to the pin file, says what differs from the last one, and prints the entry for the registry, with its hash (`manifest`). ' +
        'For an HTTP API it reads the operations in the configuration, for a model provider the prices; both have no pin file. ' +
        'Write into the entry what each tool does, then propose it with `bailiwick registry apply`.',
    )
    .argument('<name>', 'the entry, as gateway.yaml names it')
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
  gateway
    .command('record-login')
    .summary('draft the recipe by which the gateway logs in to a web application')
    .description(
      'Logs in to an application at its form, with a service account, looks at what it shows, and prints an entry for `session` in ' +
        'gateway.yaml: form, fields, signs of success, token, log-out. A comment marks each guess. It uses the account two or three times, ' +
        'and logs out. If Chromium is there, it also watches what a browser sends, and says what the gateway could not do.',
    )
    .argument('<url>', 'the login page, or a page that leads to it')
    .requiredOption('--user <name>', 'the name of the account')
    .requiredOption(
      '--password <reference>',
      'where its password is: file:PATH, env:NAME, exec:COMMAND. The password itself is never printed',
    )
    .option('--name <name>', 'the name of the entry', 'application')
    .option('--browser <program>', 'Chromium, or `none`; default: the one that is on the path')
    .action(async (url: string, { name, user, password, browser }: RecordOptions) =>
      done(await shown(gatewayRecord, [url, name, user, password, ...(browser === undefined ? [] : [browser])], io)),
    )
}

async function shown(main: string, args: readonly string[], io: Io): Promise<ExitCode> {
  const ended = await runChild(main, { args, env: io.env })
  for (const line of linesOf(ended.err)) io.err(line)
  for (const line of linesOf(ended.out)) io.out(line)
  return ended.code
}

const linesOf = (text: string): string[] => (text === '' ? [] : text.trimEnd().split('\n'))
