import { evaluateBatchLine } from '@bailiwick/policy'
import type { Command } from 'commander'
import { inputLines } from '../input-lines.ts'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { streamInput } from '../read-input.ts'
import { policyCheckCommand } from './policy-check.ts'
import { policyExplainCommand } from './policy-explain.ts'
import { policyProposeCommand } from './policy-propose.ts'
import { policyReplayCommand } from './policy-replay.ts'
import { policyShadowCommand } from './policy-shadow.ts'
import { policyTestCommand } from './policy-test.ts'

export function policyCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const policy = program
    .command('policy')
    .summary('try policies out')
    .description(
      'Works on directories of Cedar policies, and on the evidence log; only `propose` needs something that runs.',
    )
  policyCheckCommand(policy, io, done)
  policyTestCommand(policy, io, done)
  policyExplainCommand(policy, io, done)
  policyReplayCommand(policy, io, done)
  policyShadowCommand(policy, io, done)
  evaluateCommand(policy, io, done)
  policyProposeCommand(policy, io, done)
}

function evaluateCommand(policy: Command, io: Io, done: (code: ExitCode) => void): void {
  policy
    .command('evaluate')
    .summary('evaluate requests in bulk')
    .description(
      'Reads a JSON object a line, {"id", "policies": DIR, "requests": [{"principal", "action", "resource", "context", ' +
        '"validateRequest"}]}, and answers each with one, in order; a line that is wrong is answered so. Requests are ' +
        'Cedar JSON, and trusted. 0 once every line has its answer, also if that is a denial or an error.',
    )
    .requiredOption('--batch <file>', 'the lines; - for standard input')
    .action(async ({ batch }: { batch: string }) => {
      const input = batch === '-' ? (io.input ?? []) : streamInput('--batch', batch)
      let [lines, unread] = [0, 0]
      for await (const line of inputLines(input)) {
        const answer = evaluateBatchLine(line)
        lines++
        if (!answer.load.ok) unread++
        io.out(JSON.stringify(answer))
      }
      // Each line has its own answer, which says what was wrong with the line.
      if (unread > 0) io.err(`bailiwick: ${unread} of ${lines} lines were not evaluated: their answers say why`)
      done(exitCodes.ok)
    })
}
