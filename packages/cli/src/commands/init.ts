import { isIP } from 'node:net'
import { keyFilePath } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { initialise, invitationFor, nextSteps, paths } from '@bailiwick/installation'
import type { Command } from 'commander'
import { decidingPolicies } from '../deciding-policies.ts'
import { initialEntities } from '../initial-entities.ts'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { type DataOption, type JsonOption, withData, withJson } from '../options.ts'
import { defaultPolicies } from '../repository.ts'

interface InitCommand extends DataOption, JsonOption {
  publicUrl: string
  singleOperator?: true
  registry?: string
  policies: string
}

export function initCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const command = program
    .command('init')
    .summary('make an installation, once')
    .description(
      'Makes an installation, once: keys with one purpose each, the trust anchor (trust.json), and the first registry, ' +
        'signed by the root key. It enrols no one: it prints an invitation for the first approver on a terminal, ' +
        'else the name of the file that holds it.',
    )
    .option(
      '--public-url <url>',
      'where people and agents reach it',
      io.env.BAILIWICK_PUBLIC_URL || 'http://localhost:8420',
    )
    .option('--single-operator', "one person's passkey suffices to change the registry, even their own proposals")
    .option('--registry <file>', 'agents, rules, tool servers and enforcement points to begin with (YAML)')
    .option('--policies <dir>', 'Cedar policies to begin with', defaultPolicies)
  withJson(withData(command, io)).action((options: InitCommand) => done(init(options, io)))
}

function init({ data, publicUrl, singleOperator, registry, policies, json }: InitCommand, io: Io): ExitCode {
  const { origin } = originOf(publicUrl)
  const trust = initialise({
    data,
    publicUrl: origin,
    singleOperator: singleOperator ?? false,
    now: io.clock.now(),
    randomBytes: io.random,
    policies: decidingPolicies(policies),
    entities: registry === undefined ? [] : initialEntities(registry),
  })
  const rootKey = keyFilePath(paths(data).keys('root'), 'root')
  // JSON is for programs, and their output is stored.
  const invitation = invitationFor(data, { terminal: io.terminal === true && !json })
  if (json) {
    const { installation, single_operator } = trust
    io.out(
      JSON.stringify({
        installation,
        data,
        trust: paths(data).trust,
        root_key: rootKey,
        single_operator,
        ...named(invitation),
      }),
    )
    return exitCodes.ok
  }
  const { read, command, applyRegistry } = nextSteps(io.env)
  const serve = read
    ? 'start a container of this image with this data directory'
    : `${portOf(origin)}${command} serve${data === '.bailiwick' ? '' : ` --data ${data}`}`
  for (const line of [
    `Made ${trust.installation} in ${data}`,
    `  trust anchor  ${paths(data).trust} (public: give it to every verifier)`,
    `  root key      ${rootKey}: move it offline, and keep it; nothing that runs needs it`,
    `  log key       ${trust.log.vkey} (public)`,
    ...(singleOperator
      ? ['  SINGLE OPERATOR: one passkey suffices; trust.json, the page and bailiwick status say so']
      : []),
    '',
    `Next: ${serve}, then open ${'file' in invitation ? 'the address in this file' : 'this address'} to enrol the first approver. It is a secret, and works once:`,
    `  ${'file' in invitation ? (read?.(invitation.file) ?? invitation.file) : invitation.address}`,
    ...(registry === undefined
      ? ['', `The registry is empty: once the first approver is enrolled, add agents and rules with ${applyRegistry}.`]
      : []),
  ])
    io.out(line)
  return exitCodes.ok
}

const named = (invitation: ReturnType<typeof invitationFor>) =>
  'file' in invitation ? { invitation_file: invitation.file } : {}

/** The port that standalone must be given for a local address that is not its default. */
function portOf(origin: string): string {
  const { hostname, port } = new URL(origin)
  return hostname === 'localhost' && port !== '8420' ? `BAILIWICK_PORT=${port} ` : ''
}

/**
 * Checked before anything is created. It becomes the issuer's name and the origin of passkeys. Browsers make passkeys only for names, never
 * for an IP address, and beyond this machine only over https (WebAuthn Level 3 §5.1.3, secure contexts).
 */
function originOf(text: string): URL {
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol) || (text !== url.origin && text !== `${url.origin}/`))
    throw new ServiceError('config_invalid', `--public-url: ${text} is no origin, such as https://bailiwick.example`)
  if (isIP(url.hostname.replace(/^\[|\]$/g, '')) !== 0)
    throw new ServiceError(
      'config_invalid',
      `--public-url: no passkey is made for an address: use a name, not ${url.hostname}`,
    )
  if (url.protocol === 'http:' && url.hostname !== 'localhost' && !url.hostname.endsWith('.localhost'))
    throw new ServiceError(
      'config_invalid',
      `--public-url: ${url.hostname} needs https: over http there are no passkeys`,
    )
  return url
}
