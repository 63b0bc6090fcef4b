import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { expect, it } from 'vitest'

const main = join(import.meta.dirname, 'main.ts')

function start(env: Record<string, string>) {
  const child = spawn(process.execPath, [main], {
    env: { BAILIWICK_PORT: '0', ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  return { child, exited: once(child, 'exit') }
}

it('ends with an exit code and the reason on stderr, when its policies do not load', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'bailiwick-plain-'))
  writeFileSync(join(folder.path, 'bad.cedar'), 'permit (principal, action, resource) when { nonsense };')
  for (const [env, why] of [
    [{ BAILIWICK_POLICIES: folder.path }, /bad\.cedar: .+/],
    [{ BAILIWICK_POLICIES: join(folder.path, 'none') }, /no policy directory .*none/],
    [{}, /BAILIWICK_POLICIES/],
  ] as const) {
    const { child, exited } = start(env)
    const [said, [code]] = await Promise.all([text(child.stderr), exited])
    expect(code).toBe(1)
    expect(said).toMatch(why)
  }
})

it('needs a policy directory and nothing else, and stops on request', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'bailiwick-plain-'))
  writeFileSync(join(folder.path, 'a.cedar'), 'permit (principal, action, resource);')
  const { child, exited } = start({ BAILIWICK_POLICIES: folder.path })
  const url = await addressOf(child.stderr)
  const body = JSON.stringify({
    subject: { type: 'U', id: 'u' },
    action: { name: 'a' },
    resource: { type: 'R', id: 'r' },
  })
  const headers = { 'content-type': 'application/json' }
  const answer = await fetch(`${url}/access/v1/evaluation`, { method: 'POST', headers, body })
  expect(await answer.json()).toMatchObject({ decision: true })
  child.kill('SIGTERM')
  expect(await exited).toEqual([0, null])
})

/** Reads the process's log to its end: an unread log ends the process. */
function addressOf(stderr: Readable): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  let said = ''
  stderr.on('data', (chunk) => {
    said += chunk
    const url = /"url":"([^"]+)"/.exec(said)?.[1]
    if (url !== undefined) resolve(url)
  })
  return promise
}
