import { mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { ActivePlainPolicies } from './active-plain-policies.ts'

const request = { subject: { type: 'U', id: 'u' }, action: { name: 'a' }, resource: { type: 'R', id: 'r' } }

it('a set that is held answers as it did, however often the directory is loaded again (V13)', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'bailiwick-plain-'))
  const put = (effect: string, n: number) =>
    writeFileSync(join(folder.path, 'a.cedar'), `@id("${n}") ${effect} (principal, action, resource);`)
  put('permit', 0)
  const active = new ActivePlainPolicies(folder.path, 'active-plain-policies.test')
  const before = active.hold()
  const again = active.hold()
  const said = (policies = active.current()) => policies.evaluate(request)
  for (let n = 1; n < 7; n++) {
    put('forbid', n)
    active.reload()
    expect(said()).toEqual({ outcome: 'deny', policies: [String(n)] })
    expect(said(before.policies)).toEqual({ outcome: 'allow', policies: ['0'] })
    if (n === 3) again.release()
  }
  before.release()
  // Its place is taken by the next: what is not held is not kept.
  active.reload()
  active.reload()
  expect(said(before.policies)).toEqual({ outcome: 'invalid' })
  put('permit', 9)
  active.reload()
  expect(said()).toEqual({ outcome: 'allow', policies: ['9'] })
})
