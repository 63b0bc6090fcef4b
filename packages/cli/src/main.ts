#!/usr/bin/env node
import { systemClock, systemRandom } from '@bailiwick/kit'
import { run } from './run.ts'

const { stdout, stderr } = process

process.exitCode = await run(process.argv.slice(2), {
  out: (line) => console.log(line),
  terminal: stdout.isTTY,
  err: (line) => console.error(line),
  progress: stderr.isTTY ? (line) => void stderr.write(`\r${line}\u001b[K`) : undefined,
  input: process.stdin,
  env: process.env,
  clock: systemClock,
  random: systemRandom,
})
