import { execFileSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { delimiter } from 'node:path'
import { describe, expect, it } from 'vitest'
import { repository } from './compose-file.ts'

/** By the word of the programs that will read these files. Where one is missing its suite is skipped; CI installs all. */
const lacks = (program: string) =>
  !(process.env.PATH ?? '').split(delimiter).some((folder) => globSync(program, { cwd: folder || '.' }).length > 0)

const run = (file: string, args: readonly string[], env: Record<string, string> = {}) =>
  execFileSync(file, args, { cwd: repository, encoding: 'utf8', stdio: 'pipe', env: { ...process.env, ...env } })

describe.skipIf(lacks('promtool'))('promtool (Debian: prometheus)', () => {
  it('takes the configuration and the rules', () => {
    expect(run('promtool', ['check', 'config', 'infra/prometheus/prometheus.yml'])).toContain('SUCCESS')
  })

  it('sees each alert where it must be, and none where all is well', () => {
    expect(run('promtool', ['test', 'rules', 'infra/prometheus/alerts.test.yml'])).toContain('SUCCESS')
  })
})

describe.skipIf(lacks('caddy'))('caddy', () => {
  it.each([':8420', 'https://bailiwick.example'])(
    'takes the front’s configuration at %s, written as it writes it',
    (site) => {
      const config = ['--config', 'infra/front/Caddyfile', '--adapter', 'caddyfile']
      const adapted = JSON.parse(run('caddy', ['adapt', ...config], { SITE: site }))
      expect(adapted.admin).toEqual({ disabled: true })
      run('caddy', ['fmt', '--diff', 'infra/front/Caddyfile'])
    },
  )
})

describe.skipIf(lacks('shellcheck'))('shellcheck', () => {
  it.each(globSync('{infra/docker,examples/consumers/shell}/*.sh', { cwd: repository }))(
    'finds nothing in %s',
    (file) => {
      expect(run('shellcheck', [file])).toBe('')
    },
  )
})
