import { ServiceError } from '@bailiwick/errors'
import { type Explanation, explainPolicies, type PolicySet, readPolicyDirectory, readRequest } from '@bailiwick/policy'
import type { Command } from 'commander'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { type JsonOption, withJson } from '../options.ts'
import { readInput } from '../read-input.ts'

const LARGEST_REQUEST = 1 << 20

export function policyExplainCommand(policy: Command, io: Io, done: (code: ExitCode) => void): void {
  const command = policy
    .command('explain')
    .summary('why policies answer a request as they do')
    .description(
      'Says which policies of a directory decide an AuthZEN evaluation, and which of its attributes could change ' +
        'that alone, if they were different: 0 when it is allowed, 1 when not.',
    )
    .argument('<dir>', 'the policy directory')
    .argument('<request>', 'a file with {subject, action, resource, context}')
  withJson(command).action((directory: string, request: string, { json }: JsonOption) =>
    done(explain(directory, request, json === true, io)),
  )
}

function explain(directory: string, file: string, json: boolean, io: Io): ExitCode {
  const set = readPolicyDirectory(directory)
  const request = readRequest(readInput('request', file, LARGEST_REQUEST).toString('utf8'))
  if (request === undefined)
    throw new ServiceError('config_invalid', `${file} is no AuthZEN evaluation: {subject, action, resource, context}`)
  const explanation = explainPolicies(set, request)
  if (json) io.out(JSON.stringify(explanation))
  else for (const line of inWords(set, explanation)) io.out(line)
  return explanation.outcome === 'allow' ? exitCodes.ok : exitCodes.fault
}

const decided = {
  allow: 'Allowed. It is permitted by',
  deny: 'Denied. It is forbidden by',
  step_up: 'Denied until a human says yes to this very action, which is what these want',
  error: 'Denied: a policy could not be evaluated, so no other policy counts',
  invalid: 'Denied: the request does not fit the schema',
} as const

function inWords(
  { policies }: PolicySet,
  { outcome, policies: by, obligations, messages, wouldChange }: Explanation,
): string[] {
  if (outcome === 'invalid') return [`${decided.invalid}: ${messages.join('; ')}`]
  const first = outcome === 'deny' && by.length === 0 ? ['Denied: no policy permits it.'] : [`${decided[outcome]}:`]
  const change = outcome === 'allow' ? 'deny' : 'allow'
  return [
    ...first,
    ...by.map((id) => `  ${id} (${policies.get(id)?.file ?? 'unknown file'})`),
    ...messages.map((message) => `  ${message}`),
    ...(obligations.length === 0 ? [] : [`It comes with obligations: ${obligations.join(', ')}.`]),
    wouldChange.length === 0
      ? `No attribute of the request could alone ${change} it.`
      : `If one of these were different, that alone could ${change} it:`,
    ...wouldChange.map(
      ({ attribute, value, policies: looking }) =>
        `  ${attribute}, now ${JSON.stringify(value)}: ${looking.join(', ') || 'an error'}`,
    ),
  ]
}
