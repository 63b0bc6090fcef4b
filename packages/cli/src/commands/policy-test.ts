import { ServiceError } from '@bailiwick/errors'
import { readPolicyDirectory, readPolicyTests, type TestResult, testPolicies } from '@bailiwick/policy'
import type { Command } from 'commander'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { type JsonOption, withJson } from '../options.ts'
import { tableLines } from '../table.ts'

export function policyTestCommand(policy: Command, io: Io, done: (code: ExitCode) => void): void {
  const command = policy
    .command('test')
    .summary('run the tests of policies')
    .description(
      'Runs tests/*.yaml of a policy directory, lists of {name, request, expect: {decision, reasons, obligations}}, and ' +
        'shows those that fail: 1 when one does.',
    )
    .argument('<dir>', 'the policy directory')
  withJson(command).action((directory: string, { json }: JsonOption) => done(test(directory, json === true, io)))
}

function test(directory: string, json: boolean, io: Io): ExitCode {
  const set = readPolicyDirectory(directory)
  const tests = readPolicyTests(directory)
  // A run without tests would pass for ever.
  if (tests.length === 0) throw new ServiceError('config_invalid', `there are no tests in ${directory}/tests`)
  const results = testPolicies(set, tests)
  const failed = results.filter(({ failure }) => failure !== undefined)
  if (json) io.out(JSON.stringify({ ok: failed.length === 0, results: results.map(machineResult) }))
  else {
    for (const line of tableOf(failed)) io.out(line)
    io.out(`${tests.length} tests, ${failed.length} failed`)
  }
  return failed.length === 0 ? exitCodes.ok : exitCodes.fault
}

const machineResult = ({ test: { file, name }, failure }: TestResult) => ({ file, name, ok: !failure, ...failure })

function tableOf(failed: readonly TestResult[]): string[] {
  if (failed.length === 0) return []
  const rows = failed.map(({ test: { file, name }, failure }) => [
    `${file}: ${name}`,
    failure?.expected ?? '',
    failure?.got ?? '',
  ])
  return tableLines([['failed', 'expected', 'got'], ...rows])
}
