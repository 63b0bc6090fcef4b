import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { initialise, invitationAddress, paths } from '@bailiwick/installation'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { welcome } from './welcome.ts'

const data = mkdtempSync(join(tmpdir(), 'welcome-'))
let greet: (how: { enrolled?: boolean; sample?: boolean; terminal: boolean; env?: { container: string } }) => string
beforeAll(() => {
  const trust = initialise({
    data,
    ...{
      publicUrl: 'http://localhost:8420',
      singleOperator: true,
      now: Date.parse('2026-11-26T12:00:00.000Z'),
      randomBytes,
      entities: [],
    },
    policies: new Map([['starter.cedar', Buffer.from('permit(principal, action, resource);')]]),
  })
  greet = (how) => welcome(data, trust, { enrolled: false, sample: true, ...how })
})
afterAll(() => rmSync(data, { recursive: true, force: true }))

it('shows the invitation on a terminal', () => {
  expect(greet({ terminal: true })).toContain(invitationAddress(data))
})

it('names its file, for its owner alone, where the output may be kept (V17)', () => {
  for (const _ of ['the first start', 'another']) {
    const said = greet({ terminal: false })
    expect(said).not.toContain('#invitation=')
    expect(said).toContain(paths(data).invitation)
  }
  expect(readFileSync(paths(data).invitation, 'utf8')).toBe(`${invitationAddress(data)}\n`)
  expect(statSync(paths(data).invitation).mode & 0o777).toBe(0o600)
})

it('does not print it once an approver is enrolled', () => {
  for (const terminal of [true, false]) expect(greet({ enrolled: true, terminal })).not.toMatch(/invitation/)
})

it('says to a person outside its container what they can run there', () => {
  const said = greet({ sample: false, terminal: false, env: { container: 'oci' } })
  expect(said).toContain(`docker exec CONTAINER cat ${paths(data).invitation}`)
  expect(said).toContain('docker exec -i CONTAINER bailiwick registry apply /dev/stdin <FILE')
  expect(said).not.toMatch(/np[mx]/)
})
