import { userInfo } from 'node:os'
import type { Agent } from '@bailiwick/agent'
import { ServiceError } from '@bailiwick/errors'
import { type Command, Option } from 'commander'
import { type AgentOptions, agentOf, withAgent } from '../agent-run/agent-of.ts'
import { type Containment, type ContainmentWish, containmentOf } from '../agent-run/containment.ts'
import { childEnvironment, variableOf } from '../agent-run/environment.ts'
import { hiddenPaths } from '../agent-run/hidden-paths.ts'
import { openPlaces, type PlaceNames, variablesOf } from '../agent-run/places.ts'
import { type Client, configLines, hookLines, printConfigOption } from '../agent-run/print-config.ts'
import { mustBeProgram, type Program, startProgram } from '../agent-run/program.ts'
import { stopOf } from '../agent-run/stop.ts'
import { giveBack, type ObtainedGrant, obtainGrant, type TaskOptions } from '../agent-run/task.ts'
import { untilEnded } from '../agent-run/watch-grant.ts'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { collect, wholeNumber, withData } from '../options.ts'
import { thisCommand } from '../repository.ts'

interface RunOptions extends AgentOptions, TaskOptions, PlaceNames {
  holdSeconds: number
  keepEnv: readonly string[]
  hide: readonly string[]
  show: readonly string[]
  contain: ContainmentWish
  printConfig?: Client
  printHook?: string
}

/** `agent run` */
export function agentRunCommand(agent: Command, io: Io, done: (code: ExitCode) => void): void {
  const run = agent
    .command('run')
    .summary('run a program as an agent: tools, APIs and models behind the gateway, under one task')
    .description(
      'Asks a human for a task, and runs a program under it, without a change to the program. When the task ends, the command ends the ' +
        'program and all that it started. The program reaches servers of tools, HTTP APIs and providers of models at addresses of this ' +
        'machine, which its ' +
        'environment names. It gets no key and no credential, and none of the credentials in the environment of this command.',
    )
    .argument('[command...]', 'the program and its arguments, after --')
  withAgent(run)
    .option('--task <file>', 'what to ask for: a bailiwick_task in JSON')
    .option('--expires <seconds>', 'how long the task lasts, at most 28800', wholeNumber(1, 28_800), 3600)
    .option('--purpose <text>', "why, in the agent's own words")
    .option('--grant <id>', 'instead of --task: a grant that exists already. It is not given back')
    .option('--mcp <name>', 'a server of tools, as gateway.yaml names it; may be repeated', collect, [])
    .option('--http <name>', 'an HTTP API, as gateway.yaml names it; may be repeated', collect, [])
    .option('--openai <name>', 'a provider of models with the API of OpenAI: OPENAI_BASE_URL')
    .option('--anthropic <name>', 'a provider of models with the API of Anthropic: ANTHROPIC_BASE_URL')
    .option('--hold-seconds <n>', 'how long a call stays open while a human decides', wholeNumber(0, 55), 0)
    .option('--keep-env <name>', 'pass a variable on that looks like a credential; may be repeated', collect, [])
    .option('--hide <path>', 'a file or folder that the program sees as empty; may be repeated', collect, [])
    .option('--show <path>', 'do not hide this usual place of credentials, such as ~/.npmrc', collect, [])
    .addOption(
      new Option('--contain <when>', 'whether the program runs in namespaces of its own (Linux)')
        .choices(['auto', 'required', 'never'])
        .default('auto'),
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
  variablesOf(options)
  if (options.printConfig !== undefined) return printConfig(options.printConfig, options, io)
  if (options.printHook !== undefined) return printHook(options.printHook, options, io)
  if (file === undefined) throw new ServiceError('config_invalid', 'name the program after --')
  if ((options.task === undefined) === (options.grant === undefined))
    throw new ServiceError('config_invalid', 'give either --task or --grant')
  const cwd = process.cwd()
  const { env, stripped } = childEnvironment(io.env, { keep: options.keepEnv })
  mustBeProgram(file, { cwd, path: env.PATH })
  const hidden = hiddenPaths(options, { env: io.env, cwd, uid: userInfo().uid })
  const containment = await containmentOf(options.contain, { hidden, cwd, env })
  describe(containment, { hidden, stripped, key: options.key, io })

  using stop = stopOf({ told: process, clock: io.clock, sleep: () => process.kill(process.pid, 'SIGSTOP') })
  const asking = { agent, io, publicUrl: trust.public_url, signal: stop.signal }
  const grant = await obtainGrant(options, asking).catch((error: unknown) => {
    if (!stop.signal.aborted) throw error
    return undefined
  })
  if (grant === undefined) return exitCodes.fault
  await using task = taskOf(agent, grant, io)
  const { grantId } = grant
  await using places = await openPlaces(options, {
    ...{ agent, gateway, grantId, io, publicUrl: trust.public_url, holdSeconds: options.holdSeconds },
    onCompleting: (completed, completion) => {
      if (completed === grantId) task.completion = completion
    },
  })
  const given = childEnvironment(io.env, { keep: options.keepEnv, given: places.env })
  if (stop.signal.aborted) return exitCodes.fault
  const program = startProgram({ command: [file, ...args], env: given.env, containment })
  stop.program = program
  return await follow(program, { agent, task, containment, io })
}

interface Following {
  agent: Agent
  task: RunTask
  containment: Containment
  io: Io
}

/** Waits for the end of the program, or ends it when its grant has ended. */
async function follow(program: Program, { agent, task, containment, io }: Following): Promise<ExitCode> {
  const watching = new AbortController()
  const report = (line: string) => io.err(`bailiwick: ${line}`)
  const over = untilEnded({ agent, grantId: task.grantId, signal: watching.signal, report }).then(
    () => 'over' as const,
    () => 'unwatched' as const,
  )
  try {
    const first = await Promise.race([program.ended, over])
    if (typeof first === 'number') return first
    if (await isCompleted(task)) {
      report('the program ended its task, and goes on without it')
      return await program.ended
    }
    task.isOver = true
    program.kill()
    await program.ended
    report('the task was withdrawn or has ended, so the command ended the program')
    if (!containment.isContained)
      report('processes that left its group may go on, but the addresses that they know are gone')
    return exitCodes.fault
  } finally {
    watching.abort()
    program.kill()
  }
}

/** Says what holds, before a human is asked. */
function describe(
  { isContained, why }: Containment,
  { hidden, stripped, key, io }: { hidden: readonly string[]; stripped: readonly string[]; key: string; io: Io },
): void {
  const { username } = userInfo()
  const say = (line: string) => io.err(`bailiwick: ${line}`)
  if (stripped.length > 0) say(`not passed on (--keep-env NAME passes one): ${stripped.join(', ')}`)
  if (isContained) {
    say(
      'contained: the program runs in process, mount and user namespaces of its own. It cannot read the memory of this command, and no process that it starts outlives the task.',
    )
    say(`it sees these as empty: ${hidden.join(', ')}`)
    say(`other programs of user ${username} can read ${key}, and the addresses in its environment`)
    return
  }
  say(
    `NOT contained (${why}): the program and every program of user ${username} can read ${key} and the memory of this command.`,
  )
  say('a process that leaves the program’s group outlives the task. --contain required refuses to start in this case')
}

interface RunTask extends AsyncDisposable {
  readonly grantId: string
  /** The program itself ends it, or tries to. */
  completion: Promise<void> | undefined
  /** It was ended from outside. */
  isOver: boolean
}

/** The task of a run. At its end the grant is given back if it was asked for here. */
function taskOf(agent: Agent, { grantId, isOwn }: ObtainedGrant, io: Io): RunTask {
  const task: RunTask = {
    grantId,
    completion: undefined,
    isOver: false,
    async [Symbol.asyncDispose]() {
      if (!isOwn || task.isOver || (await isCompleted(task))) return
      await giveBack(grantId, { agent, io })
    },
  }
  return task
}

/** Whether the program ended its task by itself. A try that failed must not hide a withdrawal. */
const isCompleted = ({ completion }: RunTask): Promise<boolean> =>
  Promise.resolve(completion).then(
    () => completion !== undefined,
    () => false,
  )

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
