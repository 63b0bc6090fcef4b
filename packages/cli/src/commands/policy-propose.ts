import type { PolicySet } from '@bailiwick/contracts'
import { approvalOperatorRoutes } from '@bailiwick/contracts/api'
import { ServiceError } from '@bailiwick/errors'
import { paths, policySetOf, readPolicyFiles, storePolicyFiles } from '@bailiwick/installation'
import { checkPolicies, decisionSet, hasPermit } from '@bailiwick/policy'
import type { Command } from 'commander'
import { expectAnswer } from '../expect-answer.ts'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { lenienceLines } from '../lenience.ts'
import { operatorOf } from '../operator-client.ts'
import {
  type DataOption,
  type JsonOption,
  type PermitsNothingOption,
  withData,
  withJson,
  withPermitsNothing,
} from '../options.ts'
import { presentRegistry } from '../present-entities.ts'
import { diffLines, diffOf, effectLines } from '../registry-diff.ts'
import { whoApproves } from '../who-approves.ts'

type Options = DataOption & JsonOption & PermitsNothingOption & { proposer: string }

export function policyProposeCommand(policy: Command, io: Io, done: (code: ExitCode) => void): void {
  const command = policy
    .command('propose')
    .summary('propose a directory as the active policy set; approvers answer with their passkeys')
    .description(
      'Checks a policy directory, lays its files where decision points look for the set of their hash, and proposes that ' +
        'set to the approvers. Nothing of it decides before they have signed exactly this hash with their passkeys.',
    )
    .argument('<dir>', 'the policy directory')
    .option(
      '--proposer <name>',
      'who is named as the proposer; a name signs nothing, so that two approvers sign all the same',
      'operator',
    )
  withJson(withData(withPermitsNothing(command), io)).action(async (directory: string, options: Options) =>
    done(await propose(directory, options, io)),
  )
}

const proposedSchema = approvalOperatorRoutes.proposeChange.answer.pick({ request_id: true, approve_at: true })

async function propose(directory: string, { data, json, proposer, ...options }: Options, io: Io): Promise<ExitCode> {
  const permitsNothing = options.permitsNothing === true
  const errors = checkPolicies(directory, { permitsNothing }).filter(({ level }) => level === 'error')
  for (const { file, policyId, message } of errors)
    io.err(`error    ${file}${policyId === undefined ? '' : `  ${policyId}`}: ${message}`)
  if (errors.length > 0) return exitCodes.fault
  const files = readPolicyFiles(directory)
  // Like a decision point: a set that it cannot load denies everything once it is active.
  const { policies } = decisionSet(files, { permitsNothing })
  if (permitsNothing && hasPermit(policies.values()))
    throw new ServiceError('config_invalid', '--permits-nothing: the set has a permit; leave the option out')
  const set = { ...policySetOf(files), ...(permitsNothing ? { permits_nothing: true as const } : {}) }
  const folder = paths(data).policies(set.hash)
  const operator = operatorOf(data)
  const { present, lenience } = await presentRegistry(operator)
  for (const line of lenienceLines(lenience)) io.err(line)
  const wanted = [{ type: 'policy-set' as const, id: set.id, value: set }]
  const diff = diffOf(wanted, (type, id) => present.find((each) => each.type === type && each.id === id)?.value)
  if (diff.length === 0) {
    io.out(json ? JSON.stringify({ request_id: null, policy_set: set.hash }) : 'These policies are the active ones.')
    return exitCodes.ok
  }
  const effects = effectLines(diff, { before: textOf(data, diff[0]?.before as PolicySet | null), after: asText(files) })
  // Before anyone is asked: a set that is approved but not stored would deny everything.
  storePolicyFiles(folder, files)
  const entities = wanted.map(({ type, id, value }) => ({ type, id, value }))
  const answer = await operator.post('/operator/registry/changes', { proposer, entities })
  const { request_id: id, approve_at } = expectAnswer(proposedSchema, answer)
  const approvers = whoApproves(diff, present, { singleOperator: lenience.single_operator === true })
  if (json) io.out(JSON.stringify({ request_id: id, policy_set: set.hash, folder, effects, approve_at, approvers }))
  else
    for (const line of [
      ...diffLines(diff),
      ...effects,
      `Proposed as ${id}. It holds once it is approved with a passkey at ${approve_at}`,
      approvers,
      `A decision point with a data directory of its own needs ${folder} there before that.`,
    ])
      io.out(line)
  return exitCodes.ok
}

const asText = (files: ReturnType<typeof readPolicyFiles>) =>
  Object.fromEntries([...files].map(([name, bytes]) => [name, new TextDecoder().decode(bytes)]))

/** The text of the active set, if this machine has it. */
function textOf(data: string, set: PolicySet | null) {
  try {
    const files = set === null ? undefined : readPolicyFiles(paths(data).policies(set.hash))
    return files !== undefined && policySetOf(files).hash === set?.hash ? asText(files) : null
  } catch {
    return null
  }
}
