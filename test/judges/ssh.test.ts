import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { RunPlace } from '../abuse/agent-run.ts'
import { account, hasSshd, SshWorld, sshAuthority } from '../e2e/ssh-world.ts'

/* ssh and ssh-keygen, unmodified, under `agent run`, as the page docs/how-to/ssh.md does it: sshd of Debian is the host. */

let at: SshWorld
beforeAll(async () => {
  if (hasSshd) at = await SshWorld.open()
})
afterAll(() => at?.[Symbol.asyncDispose]())

it.skipIf(!hasSshd)('a shell under agent run logs in as the page says, and runs the one command', async () => {
  execFileSync('jq', ['--version'])
  using place = new RunPlace(at.world)
  const page = readFileSync(join(import.meta.dirname, '../../docs/how-to/ssh.md'), 'utf8')
  const [, block = ''] = /## 6\. Log in[\s\S]*?```sh\n([\s\S]*?)```/.exec(page) ?? []
  // The same words, for the account and the port of this machine.
  const script = block
    .replace("command='systemctl --user restart app'", "command='echo restarted'")
    .replaceAll('\\ndeploy\\n', `\\n${account}\\n`)
    .replace('account: "deploy"', `account: "${account}"`)
    .replace(
      'ssh -i id -o IdentitiesOnly=yes deploy@web-1',
      `ssh -F none -i id -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -p ${at.ports['web-1']} ${account}@127.0.0.1`,
    )
    .replace('curl -fsS ', 'curl -fsS --retry 9 --retry-all-errors --retry-delay 1 ')
  const { grantId } = await at.world.granted(sshAuthority())
  const { said, ended } = place.start(['--grant', grantId, '--ssh', 'fleet'], ['sh', '-euc', script])
  expect(await ended, said.err + said.out).toBe(0)
  expect(said.out).toBe('restarted\n')
})
