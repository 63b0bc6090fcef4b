import { randomBytes } from 'node:crypto'
import { joinTokenOfferSchema } from '@bailiwick/contracts/api'
import { sha256 } from '@bailiwick/credentials'
import type { Command } from 'commander'
import { expectAnswer } from '../expect-answer.ts'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { operatorOf } from '../operator-client.ts'
import { type DataOption, type JsonOption, wholeNumber, withData, withJson } from '../options.ts'

interface JoinTokenCommand extends DataOption, JsonOption {
  instance: string
  minutes: number
}

export function agentsCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const agents = program
    .command('agents')
    .summary('let an instance of an agent join')
    .description(
      'Lets instances of agents that are registered join. Agents themselves are registered by `registry apply`.',
    )
  const command = agents
    .command('join-token')
    .summary('make a token by which one instance joins, once')
    .description(
      'Makes a join token, for development: the first process to use it becomes that instance of the agent, with a key of its own. ' +
        'The agent must be registered with the attestor `join_token`. It is kept nowhere but in what is printed here.',
    )
    .argument('<agent>', 'the SPIFFE ID of the agent')
    .requiredOption('--instance <name>', 'the name of the instance')
    .option('--minutes <n>', 'how long it can be redeemed, at most 60', wholeNumber(1, 60), 10)
  withJson(withData(command, io)).action(async (agent: string, options: JoinTokenCommand) =>
    done(await joinToken(agent, options, io)),
  )
}

/** Two secrets in one: approval and the issuer each get the hash of their own, so that neither can use the other's. */
async function joinToken(agent: string, options: JoinTokenCommand, io: Io): Promise<ExitCode> {
  const [forApproval, forIssuer] = [randomBytes(32).toString('base64url'), randomBytes(32).toString('base64url')]
  const instance = `${agent}/${options.instance}`
  const operator = operatorOf(options.data)
  const offer = async (service: 'approval' | 'issuer', secret: string) => {
    const order = { instance, token_hash: sha256(secret), minutes: options.minutes }
    return expectAnswer(joinTokenOfferSchema, await operator.post(`/operator/join-tokens/${service}`, order))
  }
  await offer('issuer', forIssuer)
  const { expires_at } = await offer('approval', forApproval)
  const join_token = `${forApproval}.${forIssuer}`
  if (options.json) io.out(JSON.stringify({ instance, join_token, expires_at }))
  else {
    io.err(
      `For ${instance}, once, until ${expires_at}. What stands before the dot is for approval, after it for the issuer:`,
    )
    io.out(join_token)
  }
  return exitCodes.ok
}
