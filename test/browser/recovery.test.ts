import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { recoveryDelayMs } from '@bailiwick/approval-statement'
import {
  exportPrivateKey,
  generateKey,
  jcsHash,
  readKeyFile,
  type SigningKey,
  signGenesisStatement,
} from '@bailiwick/credentials'
import { paths, recoveryAddress } from '@bailiwick/installation'
import { type Clock, systemClock } from '@bailiwick/kit'
import { sample } from '@bailiwick/standalone/sample'
import { freePort, type System, startSystem } from '@bailiwick/testkit'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { aPerson, enrolFirst, launch, noBrowser, type Person, seriousFindings } from './browser.ts'

const yesterday: Clock = { ...systemClock, now: () => systemClock.now() - recoveryDelayMs - 60_000 }

let data: string
let ports: { port: number; invoicesPort: number }
let browser: Browser
let olivia: Person

/** Does what `bailiwick recover` does with the root key. */
async function announce(system: System, id: string, key: SigningKey<'invitation'>): Promise<void> {
  const value = { id, jwk: key.publicJwk, approver_id: 'owner', name: 'Olivia Owner', groups: [sample.group] }
  const root = readKeyFile(paths(data).keys('root'), 'root', 'root')
  const named = { entity_type: 'recovery' as const, entity_id: id, version: 1, after: jcsHash(value) }
  const jws = signGenesisStatement({ installation: system.trust.installation, ...named }, root)
  const payload = { value, jws }
  const answer = await system.host.operator.inject({ method: 'POST', url: '/operator/recoveries', payload })
  expect(answer.statusCode).toBe(200)
}

/** Opens a recovery's address and tries to use it. */
async function recover(person: Person, system: System, id: string, key: SigningKey<'invitation'>) {
  const { page, press } = person
  await page.goto(recoveryAddress(system.url, id, key))
  await page.getByRole('heading', { name: 'Recover' }).waitFor()
  expect(page.url()).toBe(`${system.url}/`) // nor does the history keep the key
  expect(await seriousFindings(person)).toEqual([])
  await press('Create passkey and recover')
}

describe.skipIf(noBrowser)('recovery, in Chromium', () => {
  beforeAll(async () => {
    data = mkdtempSync(join(tmpdir(), 'bailiwick-recovery-'))
    ports = { port: await freePort(), invoicesPort: await freePort() }
    browser = await launch()
    olivia = await aPerson(browser)
  })
  afterAll(async () => {
    await browser.close()
    rmSync(data, { recursive: true, force: true })
  })

  const [lost, unknown] = [generateKey('invitation'), generateKey('invitation')]
  const refused = (person: Person, text: string | RegExp) => person.page.getByRole('alert').getByText(text).waitFor()

  it('is visible to every approver, admits no one for a day, and can be retired by any approver (V3)', async () => {
    await using system = await startSystem({ data, ...ports, clock: yesterday })
    await enrolFirst(olivia, system)
    const { page } = olivia
    await announce(system, 'rcv-lost', lost)
    await announce(system, 'rcv-unknown', unknown)
    // No button was pressed, and it is on every page.
    const banner = (id: string) => page.locator('.banner', { hasText: `retire recovery ${id}` })
    await banner('rcv-lost').waitFor()
    await page.getByRole('link', { name: 'Grants' }).click()
    await banner('rcv-unknown').getByRole('button', { name: 'Retire it…' }).click()
    await olivia.press('Propose to retire it')
    await page.getByRole('heading', { name: 'owner proposes: Retire recovery rcv-unknown' }).waitFor()
    await olivia.press('Approve as asked…')
    await olivia.press('Sign with passkey')
    await page.getByText('Approved.', { exact: true }).waitFor()
    await banner('rcv-unknown').waitFor({ state: 'detached' })
    await banner('rcv-lost').waitFor()

    await using early = await aPerson(browser)
    await recover(early, system, 'rcv-lost', lost)
    await refused(early, /the recovery can be used from (?!\d{4}-)/) // a local time
    await early.press('Not now')
    await early.page.getByRole('heading', { name: 'Sign in' }).waitFor()
  })

  it('makes one passkey after the day, once, in place of the lost ones (V3, V10)', async () => {
    await using system = await startSystem({ data, ...ports })
    await using anew = await aPerson(browser)
    await recover(anew, system, 'rcv-unknown', unknown)
    await refused(anew, 'The invitation does not verify, or was used')
    await recover(anew, system, 'rcv-lost', lost)
    await anew.page.getByRole('heading', { name: 'Inbox' }).waitFor()
    expect(await anew.page.getByText('Recovery announced.').count()).toBe(0)
    const { d = '' } = exportPrivateKey(lost)
    expect(anew.sent.some((request) => request.includes(d))).toBe(false)

    await using thief = await aPerson(browser)
    await recover(thief, system, 'rcv-lost', lost)
    await refused(thief, 'The invitation does not verify, or was used')
    await olivia.page.goto(`${system.url}/console`)
    await olivia.press('Sign in with passkey')
    await refused(olivia, 'The approver is not enrolled')
  })
})
