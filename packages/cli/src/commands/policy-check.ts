import { checkPolicies } from '@bailiwick/policy'
import type { Command } from 'commander'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { type JsonOption, type PermitsNothingOption, withJson, withPermitsNothing } from '../options.ts'

export function policyCheckCommand(policy: Command, io: Io, done: (code: ExitCode) => void): void {
  const command = policy
    .command('check')
    .summary('find what is wrong with policies')
    .description(
      'Parses and validates a policy directory, and looks for policies that never apply, always error, or change nothing ' +
        'beside another: 1 when there is an error, which denies or keeps the set from loading; warnings alone are 0.',
    )
    .argument('<dir>', 'the policy directory')
  withJson(withPermitsNothing(command)).action((directory: string, options: JsonOption & PermitsNothingOption) =>
    done(check(directory, options, io)),
  )
}

function check(directory: string, { json, permitsNothing }: JsonOption & PermitsNothingOption, io: Io): ExitCode {
  const findings = checkPolicies(directory, { permitsNothing: permitsNothing === true })
  const errors = findings.filter(({ level }) => level === 'error').length
  if (json) io.out(JSON.stringify({ ok: errors === 0, findings }))
  else {
    for (const { level, file, policyId, message } of findings)
      io.out(`${level.padEnd(7)}  ${file}${policyId === undefined ? '' : `  ${policyId}`}: ${message}`)
    io.out(`${count(errors, 'error')}, ${count(findings.length - errors, 'warning')}`)
  }
  return errors === 0 ? exitCodes.ok : exitCodes.fault
}

const count = (n: number, what: string) => `${n} ${what}${n === 1 ? '' : 's'}`
