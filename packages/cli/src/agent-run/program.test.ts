import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { temporaryFolder } from '../io.fixture.ts'
import { type Program, startProgram } from './program.ts'

const ps = (field: string, pid: number) =>
  execFileSync('ps', ['-o', `${field}=`, '-p', String(pid)], { encoding: 'utf8' }).trim()

function start(script: string): Program {
  const { PATH = '' } = process.env
  return startProgram({ command: ['sh', '-c', script], env: { PATH }, containment: { before: [], isContained: false } })
}

it('leads a session of its own, so that it can neither stop this command nor type into its terminal (V7)', async () => {
  using folder = temporaryFolder()
  expect(await start(`ps -o sid= -p $$ > '${folder.at('sid')}'`).ended).toBe(0)
  const session = readFileSync(folder.at('sid'), 'utf8').trim()
  expect(session).toMatch(/^\d+$/)
  expect(session).not.toBe(ps('sid', process.pid))
})

it('stops with this command, and obeys the next signal', async () => {
  using folder = temporaryFolder()
  // No shell: one that waits for a child to begin is not shown as stopped.
  const obedient = "process.on('SIGINT', () => process.exit(9)); setInterval(() => undefined, 1000); "
  const told = `require('node:fs').writeFileSync('${folder.at('pid')}', String(process.pid))`
  const program = start(`exec '${process.execPath}' -e "${obedient}${told}"`)
  const pid = () => Number(readFileSync(folder.at('pid'), 'utf8'))
  await expect.poll(pid).toBeGreaterThan(0)
  program.pause()
  await expect.poll(() => ps('stat', pid())).toMatch(/^T/)
  program.tell('SIGINT')
  expect(await program.ended).toBe(9)
})

it('is killed while it is stopped', async () => {
  using folder = temporaryFolder()
  const program = start(`echo $$ > '${folder.at('pid')}'; kill -STOP 0; sleep 1000`)
  await expect.poll(() => ps('stat', Number(readFileSync(folder.at('pid'), 'utf8')))).toMatch(/^T/)
  program.kill()
  expect(await program.ended).toBe(128 + 9)
})
