import { execFileSync } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { readConfig } from '@bailiwick/host'
import { configSchema } from '@bailiwick/standalone/config'
import { afterAll, describe, expect, it } from 'vitest'
import { repository } from './compose-file.ts'

const read = (name: string) => readFileSync(join(repository, 'infra/systemd', name), 'utf8')
const unit = read('bailiwick.service')
const lacks = (program: string) =>
  !(process.env.PATH ?? '').split(delimiter).some((folder) => globSync(program, { cwd: folder || '.' }).length > 0)

describe('infra/systemd', () => {
  it('has settings that the process knows, for a front on the same machine', () => {
    const lines = read('bailiwick.env')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
    const config = readConfig(configSchema, Object.fromEntries(lines.map((line) => line.split('=', 2))))
    expect(config).toMatchObject({ BAILIWICK_HOST: '127.0.0.1', BAILIWICK_TLS: 'terminated' })
    expect(config.BAILIWICK_TRUSTED_PROXIES).toBeDefined()
    // The front calls the address on which the process listens.
    const upstreams = [...read('caddy.conf').matchAll(/(?:APPROVAL|ISSUER|POLICY_DECISION|EVIDENCE)=(\S+)/g)]
    expect(upstreams).toHaveLength(4)
    for (const [, address] of upstreams) expect(address).toBe(`${config.BAILIWICK_HOST}:${config.BAILIWICK_PORT}`)
  })

  it('is always restarted, and keeps its state where the service may write', () => {
    expect(unit).toMatch(/^Restart=always$/m)
    expect(unit).toMatch(/^StartLimitIntervalSec=0$/m)
    expect(unit).toMatch(/^StateDirectory=bailiwick$/m)
    expect(unit).toContain('BAILIWICK_DATA=/var/lib/bailiwick')
  })
})

describe.skipIf(lacks('systemd-analyze'))('systemd-analyze (Debian: systemd)', () => {
  const folder = mkdtempSync(join(tmpdir(), 'systemd-'))
  const file = join(folder, 'bailiwick.service')
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  // Here, the program that it starts is in another folder.
  writeFileSync(file, unit.replace('/opt/bailiwick/node_modules/.bin/node', process.execPath))
  const analyze = (...args: string[]) => execFileSync('systemd-analyze', args, { encoding: 'utf8', stdio: 'pipe' })

  it('finds no fault in the unit', () => {
    // It reports faults on standard error, and exits with 0 for an unknown setting.
    const said = execFileSync('sh', ['-c', `systemd-analyze verify ${file} 2>&1`], { encoding: 'utf8' })
    expect(said.split('\n').filter((line) => line.includes('bailiwick.service'))).toEqual([])
  })

  it('counts an exposure of 1.5 at most, of 10', () => {
    const [, level] =
      /Overall exposure level for bailiwick.service: ([\d.]+)/.exec(
        analyze('security', '--offline=true', '--no-pager', file),
      ) ?? []
    expect(Number(level)).toBeLessThanOrEqual(1.5)
  })
})
