import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { findProgram } from '@bailiwick/native'
import { freePort } from '@bailiwick/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { repository } from './compose-file.ts'

/** Checks with the programs that will read these files. Where one is missing its suite is skipped; CI installs all. */
const lacks = (program: string) => findProgram(program) === undefined

const run = (file: string, args: readonly string[], env: Record<string, string> = {}) =>
  execFileSync(file, args, { cwd: repository, encoding: 'utf8', stdio: 'pipe', env: { ...process.env, ...env } })

describe.skipIf(lacks('promtool'))('promtool (Debian: prometheus)', () => {
  it('accepts the configuration and the rules', () => {
    expect(run('promtool', ['check', 'config', 'infra/prometheus/prometheus.yml'])).toContain('SUCCESS')
  })

  it('sees each alert where it must fire, and none where all is well', () => {
    expect(run('promtool', ['test', 'rules', 'infra/prometheus/alerts.test.yml'])).toContain('SUCCESS')
  })
})

describe.skipIf(lacks('caddy'))('caddy', () => {
  it.each([':8420', 'https://bailiwick.example'])(
    'accepts the front’s configuration at %s, formatted as caddy formats it',
    (site) => {
      const config = ['--config', 'infra/front/Caddyfile', '--adapter', 'caddyfile']
      const adapted = JSON.parse(run('caddy', ['adapt', ...config], { SITE: site }))
      expect(adapted.admin).toEqual({ disabled: true })
      run('caddy', ['fmt', '--diff', 'infra/front/Caddyfile'])
    },
  )
})

describe.skipIf(lacks('caddy'))('the front, as caddy runs it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'front-'))
  const servers: Server[] = []
  let caddy: ChildProcess
  let site = ''

  beforeAll(async () => {
    const upstreams: Record<string, string> = {}
    for (const name of ['APPROVAL', 'ISSUER', 'POLICY_DECISION_1', 'POLICY_DECISION_2', 'EVIDENCE']) {
      const server = createServer((request, response) => {
        // The second decision point is never ready.
        response.statusCode = request.url === '/readyz' && name === 'POLICY_DECISION_2' ? 503 : 200
        response.end(name)
      })
      servers.push(server.listen(0, '127.0.0.1'))
      await once(server, 'listening')
      upstreams[name] = `127.0.0.1:${(server.address() as AddressInfo).port}`
    }
    upstreams.POLICY_DECISION = `${upstreams.POLICY_DECISION_1} ${upstreams.POLICY_DECISION_2}`
    site = `http://localhost:${await freePort()}`
    const env = { ...process.env, ...upstreams, SITE: site, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder }
    const args = ['run', '--config', 'infra/front/Caddyfile', '--adapter', 'caddyfile']
    caddy = spawn('caddy', args, { cwd: repository, env, stdio: 'ignore' })
    // Requests alternate. Every health check has run once the second decision point is passed over repeatedly.
    let inTurn = 0
    for (const asked = AbortSignal.timeout(60_000); inTurn < 10; await wait(50)) {
      asked.throwIfAborted()
      const said = await Promise.all(['/console', '/oauth/token', '/v1/outcomes', '/log/'].map(ask))
      const all = said.map((one) => one.said).join()
      inTurn = all === 'APPROVAL,ISSUER,POLICY_DECISION_1,EVIDENCE' ? inTurn + 1 : 0
    }
  })
  afterAll(() => {
    caddy.kill('SIGKILL')
    for (const server of servers) server.close()
    rmSync(folder, { recursive: true, force: true })
  })

  const ask = async (path: string) => {
    const answer = await fetch(site + path).catch(() => undefined)
    return { status: answer?.status, said: await answer?.text() }
  }

  it.each([
    ['/', 'APPROVAL'],
    ['/console/api/hello', 'APPROVAL'],
    ['/access/v1/requests', 'APPROVAL'],
    ['/oauth/token', 'ISSUER'],
    ['/.well-known/oauth-authorization-server', 'ISSUER'],
    ['/access/v1/evaluation', 'POLICY_DECISION_1'],
    ['/access/v1/search/action', 'POLICY_DECISION_1'],
    ['/.well-known/authzen-configuration', 'POLICY_DECISION_1'],
    ['/log/tile/0/000', 'EVIDENCE'],
    ['/v1/trace/evt_1', 'EVIDENCE'],
    ['/v1/events?type=decision', 'EVIDENCE'],
    ['/v1/activity', 'EVIDENCE'],
    ['/v1/bundle/evt_1', 'EVIDENCE'],
    ['/console/api/evidence/events', 'APPROVAL'],
  ])('sends %s to %s, always to an instance that is ready', async (path, name) => {
    for (let n = 0; n < 4; n++) expect(await ask(path)).toEqual({ status: 200, said: name })
  })

  it.each(['/healthz', '/readyz', '/metrics'])('hides %s from outside', async (path) => {
    expect(await ask(path)).toEqual({ status: 404, said: '' })
  })
})

describe.skipIf(lacks('shellcheck'))('shellcheck', () => {
  it.each(globSync('{infra/docker,infra/docker/test,infra/helm,examples/consumers/shell}/*.sh', { cwd: repository }))(
    'finds nothing in %s',
    (file) => {
      expect(run('shellcheck', [file])).toBe('')
    },
  )
})
