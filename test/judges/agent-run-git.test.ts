import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { RunPlace } from '../abuse/agent-run.ts'
import { type GitWorld, git, gitAuthority, gitDone, openGitWorld } from '../e2e/git-world.ts'

/* git itself, unmodified, under `agent run`: `git http-backend` is behind the gateway. */

const opened = new AsyncDisposableStack()
let at: GitWorld
beforeAll(async () => {
  at = opened.use(await openGitWorld())
  const seed = join(at.folder, 'seed')
  mkdirSync(seed)
  await gitDone(seed, 'init', '--quiet', '--initial-branch=main')
  writeFileSync(join(seed, 'README'), 'An application.\n')
  await gitDone(seed, 'add', '.')
  await gitDone(seed, 'commit', '--quiet', '-m', 'Begin')
  await gitDone(seed, 'push', '--quiet', at.repository, 'main')
})
afterAll(() => opened.disposeAsync())

it('git clones and pushes by the address that it knows, over TLS, and gets no further than its task', async () => {
  using place = new RunPlace(at.world)
  const { grantId } = await at.world.granted(gitAuthority())
  // Each step again while a busy machine keeps it from being decided.
  const script = `
    again() { for n in 1 2 3 4 5; do rm -rf app; "$@" && return; sleep 1; done; return 1; }
    push() { for n in 1 2 3 4 5; do git push -q origin "$1" 2> said && { cat said; return; }; grep -q rejected said && break; sleep 1; done; cat said; return 1; }
    export GIT_TERMINAL_PROMPT=0 GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@x.example GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@x.example
    again git clone -q https://git.acme.example/team/app.git app || exit 10
    cd app && cat README && head -c 3000000 /dev/urandom > big && git add . && git commit -qm change || exit 11
    push HEAD:refs/heads/agent/mend || exit 12
    push HEAD:main && exit 13
    git clone -q https://git.acme.example/team/other.git ../other 2>&1 && exit 14
    git clone -q https://elsewhere.example/team/app.git ../other 2>&1 && exit 15
    git rev-parse HEAD`
  const options = ['--grant', grantId, '--git', 'forge=https://git.acme.example']
  const { said, ended } = place.start(options, ['sh', '-c', script])
  expect(await ended, `${said.out}\n${said.err}`).toBe(0)
  expect(said.out).toContain('An application.')
  expect(said.out).toContain('argument_out_of_bounds')
  const head = said.out.trim().split('\n').at(-1)
  const onServer = await git(at.repository, 'rev-parse', 'refs/heads/agent/mend')
  expect(onServer.out.trim()).toBe(head)
  expect((await git(at.repository, 'rev-parse', 'main')).out.trim()).not.toBe(head)
  expect(said.err).toContain('refused https://elsewhere.example: no entry of this run stands for it')
})
