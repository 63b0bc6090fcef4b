import { type Agent, createAgent } from '@bailiwick/agent'
import { parseTrust, readKeyFile, type Trust } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { paths } from '@bailiwick/installation'
import type { Command } from 'commander'
import { isInstanceId } from '../commands/request.ts'
import type { Io } from '../io.ts'
import { keyFileAt, keysSecretIn } from '../key-files.ts'
import type { DataOption } from '../options.ts'
import { readInput } from '../read-input.ts'

export interface AgentOptions extends DataOption {
  gateway: string
  key: string
  agent: string
  trust?: string
  url?: string
}

/** The options of a command that acts as an agent at a gateway. */
export const withAgent = (command: Command): Command =>
  command
    .requiredOption('--gateway <url>', "the gateway's address, without a path")
    .requiredOption('--key <file>', "the instance's key file")
    .requiredOption('--agent <id>', 'who acts: spiffe://<trust domain>/agent/<name>/<instance>')
    .option('--trust <file>', "the installation's trust.json (default: the data directory's)")
    .option('--url <url>', "the installation's address (default: its public address)")

const largestTrust = 65_536

/** The agent that the options name, and the gateway's address without a path. Throws `config_invalid`. */
export function agentOf(options: AgentOptions, io: Io): { agent: Agent; trust: Trust; gateway: string } {
  if (!isInstanceId(options.agent))
    throw new ServiceError('config_invalid', `--agent: ${options.agent} names no instance of an agent`)
  const gateway = URL.parse(options.gateway)
  if (gateway === null || !/^https?:$/.test(gateway.protocol) || gateway.pathname !== '/' || gateway.search !== '')
    throw new ServiceError('config_invalid', '--gateway: an address without a path, such as https://gateway.example')
  const trust = parseTrust(readInput('--trust', options.trust ?? paths(options.data).trust, largestTrust))
  const cut = options.agent.lastIndexOf('/')
  const agent = createAgent({
    agentId: options.agent.slice(0, cut),
    instance: options.agent.slice(cut + 1),
    key: readKeyFile(...keyFileAt('--key', options.key), 'agent', keysSecretIn(io)),
    installation: trust.installation,
    baseUrl: options.url ?? trust.public_url,
    now: () => io.clock.now(),
    random: io.random,
  })
  return { agent, trust, gateway: gateway.origin }
}
