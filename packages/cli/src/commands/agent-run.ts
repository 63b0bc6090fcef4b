import { userInfo } from 'node:os'
import { resolve } from 'node:path'
import { tellsUsers } from '@bailiwick/agent/sidecar'
import { ServiceError } from '@bailiwick/errors'
import { type Command, Option } from 'commander'
import { type AgentOptions, agentOf, withAgent } from '../agent-run/agent-of.ts'
import { type Containment, type ContainmentWish, containmentOf } from '../agent-run/containment.ts'
import { type EntryNames, entriesOf } from '../agent-run/entries.ts'
import { childEnvironment, variableOf } from '../agent-run/environment.ts'
import { hiddenPaths } from '../agent-run/hidden-paths.ts'
import { type OwnNetwork, openOwnNetwork } from '../agent-run/own-network.ts'
import { environmentOf, type OwnUser, ownUser, reachableBy } from '../agent-run/own-user.ts'
import { openPlaces } from '../agent-run/places.ts'
import { type Client, configLines, hookLines, printConfigOption } from '../agent-run/print-config.ts'
import { mustBeProgram, type Program, restoreTerminal, startProgram } from '../agent-run/program.ts'
import { type RunEnd, RunGrants } from '../agent-run/run-grants.ts'
import { mustBeServed } from '../agent-run/served-entries.ts'
import { stopOf } from '../agent-run/stop.ts'
import { obtainGrants, type TaskOptions } from '../agent-run/task.ts'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { collect, wholeNumber, withData } from '../options.ts'
import { thisCommand } from '../repository.ts'

interface RunOptions extends AgentOptions, TaskOptions, EntryNames {
  holdSeconds: number
  keepEnv: readonly string[]
  hide: readonly string[]
  show: readonly string[]
  contain: ContainmentWish
  user?: string
  network: 'host' | 'none'
  printConfig?: Client
  printHook?: string
}

/** `agent run` */
export function agentRunCommand(agent: Command, io: Io, done: (code: ExitCode) => void): void {
  const run = agent
    .command('run')
    .summary(
      'run a program as an agent: tools, APIs, databases, applications and models behind the gateway, under one task',
    )
    .description(
      'Asks a human for a task, and runs a program under it, without a change to the program. When the task ends, the command ends the ' +
        'program and all that it started. The program reaches servers of tools, HTTP APIs, databases, web applications and providers of ' +
        'models at addresses of this machine, which its environment names. It gets no key and no credential of Bailiwick, and none of the credentials in the environment of this command.',
    )
    .argument('[command...]', 'the program and its arguments, after --')
  withAgent(run)
    .option('--task <file>', 'what to ask for: a bailiwick_task in JSON; may be repeated', collect, [])
    .option('--expires <seconds>', 'how long the task lasts, at most 28800', wholeNumber(1, 28_800), 3600)
    .option('--purpose <text>', "why, in the agent's own words")
    .option('--grant <id>', 'a grant that exists already. It is not given back; may be repeated', collect, [])
    .option('--mcp <name>', 'a server of tools, as gateway.yaml names it; may be repeated', collect, [])
    .option(
      '--http <name[=url]>',
      'an HTTP API, as gateway.yaml names it, and the address that the program calls it by, for the proxy; may be repeated',
      collect,
      [],
    )
    .option('--git <name[=url]>', 'a git server, in the same way; may be repeated', collect, [])
    .option('--ssh <name>', 'hosts that are logged in to, as gateway.yaml names them; may be repeated', collect, [])
    .option('--postgres <name>', 'a database, as gateway.yaml names it; may be repeated', collect, [])
    .option(
      '--session <name[=url]>',
      'a web application in which the gateway holds the session, and the address that the program calls it by; may be repeated',
      collect,
      [],
    )
    .option('--openai <name[=url]>', 'a provider of models with the API of OpenAI: OPENAI_BASE_URL')
    .option('--anthropic <name[=url]>', 'a provider of models with the API of Anthropic: ANTHROPIC_BASE_URL')
    .option('--hold-seconds <n>', 'how long a call stays open while a human decides', wholeNumber(0, 55), 0)
    .option('--keep-env <name>', 'pass a variable on that looks like a credential; may be repeated', collect, [])
    .option('--hide <path>', 'a file or folder that the program sees as empty; may be repeated', collect, [])
    .option('--show <path>', 'do not hide this usual place of credentials, such as ~/.npmrc', collect, [])
    .addOption(
      new Option('--contain <when>', 'whether the program runs in namespaces of its own (Linux)')
        .choices(['auto', 'required', 'never'])
        .default('auto'),
    )
    .option('--user <name>', 'run the program as this user, who cannot read the key (for root)')
    .addOption(
      new Option('--network <which>', 'none: the program reaches the addresses of this run, and no others (Linux)')
        .choices(['host', 'none'])
        .default('host'),
    )
    .addOption(printConfigOption())
    .option(
      '--print-hook <name>',
      "print a PreToolUse hook that asks at this server before a client's own tools, and do nothing else",
    )
  withData(run, io).action(async (command: string[], options: RunOptions) => done(await runAgent(command, options, io)))
}

async function runAgent([file, ...args]: readonly string[], options: RunOptions, io: Io): Promise<ExitCode> {
  const { agent, trust, gateway } = agentOf(options, io)
  const entries = entriesOf(options)
  if (options.printConfig !== undefined) return printConfig(options.printConfig, options, io)
  if (options.printHook !== undefined) return printHook(options.printHook, options, io)
  if (file === undefined) throw new ServiceError('config_invalid', 'name the program after --')
  if (options.task.length + options.grant.length === 0)
    throw new ServiceError('config_invalid', 'give --task or --grant')
  await using prepared = await preparedFor(file, options, io)
  const { env, containment, user, network } = prepared
  await mustBeServed(entries, gateway, io)

  using stop = stopOf({ told: process, clock: io.clock, sleep: () => process.kill(process.pid, 'SIGSTOP') })
  const asking = { agent, io, publicUrl: trust.public_url, signal: stop.signal }
  const obtained = await obtainGrants(options, asking).catch((error: unknown) => {
    if (!stop.signal.aborted) throw error
    return []
  })
  if (obtained.length === 0) return exitCodes.fault
  await using grants = new RunGrants(obtained, { agent, io, clock: io.clock })
  await using places = await openPlaces(entries, {
    ...{ agent, gateway, grants, io, publicUrl: trust.public_url, holdSeconds: options.holdSeconds },
    ...{ network, user: await onlyUser(user, io) },
  })
  if (stop.signal.aborted) return exitCodes.fault
  const program = startProgram({ command: [file, ...args], env: env(places.env), containment })
  stop.program = program
  return await follow(program, { grants, containment, io })
}

/** Whose programs are answered at the addresses of the run. undefined: the system does not say whose a connection is. */
async function onlyUser(user: OwnUser | undefined, io: Io): Promise<number | undefined> {
  if (await tellsUsers()) return user?.uid ?? process.getuid?.()
  io.err(
    'bailiwick: this system does not say whose a connection is: other users are kept out by the secret in an address',
  )
  return undefined
}

interface Prepared extends AsyncDisposable {
  /** The environment of the program, with these variables. */
  env: (given: Record<string, string>) => Record<string, string>
  containment: Containment
  user: OwnUser | undefined
  network: OwnNetwork | undefined
}

/** Finds out how the program can be kept from the key, and says it, before a human is asked. */
async function preparedFor(file: string, options: RunOptions, io: Io): Promise<Prepared> {
  const cwd = process.cwd()
  const { env, stripped } = childEnvironment(io.env, { keep: options.keepEnv })
  mustBeProgram(file, { cwd, path: env.PATH })
  const { BAILIWICK_KEYS_SECRET_FILE: secret } = io.env
  const files = [resolve(options.key), ...(secret === undefined ? [] : [resolve(secret)])]
  const user = options.user === undefined ? undefined : await ownUser(options.user, { files, cwd, env })
  const all = hiddenPaths(options, { env: io.env, cwd, user: user ?? { uid: userInfo().uid } })
  const hidden = user === undefined ? all : await reachableBy(user, all, env)
  const shown = options.show.map((path) => resolve(path))
  await using opening = new AsyncDisposableStack()
  const network = options.network === 'none' ? opening.use(openOwnNetwork(user)) : undefined
  const containment = await containmentOf(options.contain, { hidden, cwd, env, user, network, shown })
  describe(containment, { hidden, stripped, key: options.key, user, hasNetwork: network === undefined, io })
  const owned = opening.move()
  return {
    ...{ containment, user, network },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
    env: (given) => {
      const { env: whole } = childEnvironment(io.env, { keep: options.keepEnv, given })
      return user === undefined ? whole : environmentOf(whole, user)
    },
  }
}

interface Following {
  grants: RunGrants
  containment: Containment
  io: Io
}

/** Waits for the end of the program, or ends it when its grants have ended. */
async function follow(program: Program, { grants, containment, io }: Following): Promise<ExitCode> {
  const watching = new AbortController()
  const report = (line: string) => io.err(`bailiwick: ${line}`)
  const over = grants.untilOver(watching.signal).catch((): RunEnd => ({ why: 'unwatched' }))
  try {
    const first = await Promise.race([program.ended, over])
    if (typeof first === 'number') return first
    if (first.why === 'completed') {
      report('the program ended its task, and goes on without it')
      return await program.ended
    }
    program.kill()
    await program.ended
    restoreTerminal()
    const which = first.why === 'withdrawn' ? `the task of ${first.grantId} was withdrawn` : 'the task has ended'
    report(`${which}, so the command ended the program`)
    if (!containment.isContained)
      report('processes that left its group may go on, but the addresses that they know are gone')
    return exitCodes.fault
  } finally {
    watching.abort()
    program.kill()
  }
}

interface Described {
  hidden: readonly string[]
  stripped: readonly string[]
  key: string
  user: OwnUser | undefined
  hasNetwork: boolean
  io: Io
}

/** Says what holds, before a human is asked. */
function describe({ isContained, why }: Containment, { hidden, stripped, key, user, hasNetwork, io }: Described): void {
  const { username, uid } = userInfo()
  const say = (line: string) => io.err(`bailiwick: ${line}`)
  if (stripped.length > 0) say(`not passed on (--keep-env NAME passes one): ${stripped.join(', ')}`)
  if (user !== undefined)
    say(`own user: the program runs as ${user.name}, who cannot read ${key} or the memory of this command`)
  if (isContained) {
    say(
      'contained: the program runs in process, mount and user namespaces of its own. It cannot read the memory of this command, and no process that it starts outlives the task.',
    )
    if (user === undefined && uid === 0)
      say(
        'BUT IT RUNS AS ROOT, and namespaces are no wall for root: it can change files that this machine executes, and so reach the key. --user NAME runs it as a user of its own',
      )
    say(`it sees these as empty: ${hidden.join(', ')}`)
    say(
      hasNetwork
        ? 'it has the network of this machine. --network none leaves it only the addresses of this run'
        : 'it has no network but the addresses of this run, and none of the sockets with a path that are open as it starts',
    )
    if (user === undefined)
      say(`other programs of user ${username} can read ${key}, and the addresses in its environment`)
    return
  }
  if (user === undefined && uid === 0) say('the program runs as root. --user NAME runs it as a user of its own')
  say(
    user === undefined
      ? `NOT contained (${why}): the program and every program of user ${username} can read ${key} and the memory of this command.`
      : `NOT contained (${why}): the program can read the credentials of user ${user.name}, and other programs of that user the addresses in its environment.`,
  )
  say('a process that leaves the program’s group outlives the task. --contain required refuses to start in this case')
}

/** For a client that agent run starts: its servers of tools, each by a command that has no key. */
function printConfig(client: Client, { mcp }: RunOptions, io: Io): ExitCode {
  const servers = mcp.map((name) => ({
    name,
    command: [...thisCommand, 'agent', 'connect', name] as const,
    variables: [variableOf('MCP', name)],
  }))
  for (const line of configLines(client, servers)) io.out(line)
  return exitCodes.ok
}

/** The server must be one of those that the program reaches: without it, the hook lets no tool pass. */
function printHook(server: string, { mcp }: RunOptions, io: Io): ExitCode {
  if (!mcp.includes(server)) throw new ServiceError('config_invalid', `--print-hook: name ${server} with --mcp too`)
  for (const line of hookLines([...thisCommand, 'agent', 'hook', server])) io.out(line)
  return exitCodes.ok
}
