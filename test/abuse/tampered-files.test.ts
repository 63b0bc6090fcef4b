import { chmodSync, copyFileSync, cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKey, keyFilePath, writeKeyFile } from '@bailiwick/credentials'
import { errorCode } from '@bailiwick/errors'
import { paths } from '@bailiwick/installation'
import { freePort } from '@bailiwick/testkit'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Scene } from './scene.ts'

const home = mkdtempSync(join(tmpdir(), 'abuse-files-'))
const ports = { port: await freePort(), invoicesPort: await freePort() }
const kept = join(home, 'kept')
const later = join(home, 'later')
afterAll(() => rmSync(home, { recursive: true, force: true }))

let grantId = ''
/** The state in a stolen backup: a live grant whose ten adjustments are used up, and the same after the grant was revoked. */
beforeAll(async () => {
  {
    await using scene = await Scene.open({ data: kept, ...ports })
    const agent = scene.agent()
    const granted = await scene.granted(agent)
    grantId = granted.grantId
    for (let calls = 0; calls < 10; calls++) expect(await adjust(scene)).toBe('ok')
    expect(await adjust(scene)).toBe('uses_exhausted')
    expect(await scene.tryCall(agent, grantId)).toBe('ok')
    await scene.invoices.delivered()
  }
  cpSync(kept, later, { recursive: true, filter: (path) => !path.endsWith('.sock') })
  await using scene = await Scene.reopen({ data: later, ...ports })
  expect(await scene.tryCall(scene.agent(), grantId)).toBe('ok')
  expect(await (scene as Scene).revoke('grant', grantId)).toBe(200)
}, 60_000)

async function adjust(scene: Pick<Scene, 'agent'>): Promise<string> {
  const properties = { invoice: 'INV-1', amount: '1', currency: 'EUR' }
  const response = await (scene as Scene).call(scene.agent(), grantId, 'adjust', properties)
  const { code } = (await response.json()) as { code?: string }
  return response.status === 200 ? 'ok' : String(code)
}

/** Starts on a tampered copy. Returns `refused to start` with a code, or the answer to an honest agent's call. */
async function started(from: string, tamper: (data: string) => void, act = readOnce): Promise<string> {
  const data = mkdtempSync(join(home, 'copy-'))
  cpSync(from, data, { recursive: true, filter: (path) => !path.endsWith('.sock') })
  tamper(data)
  try {
    await using scene = await Scene.reopen({ data, ...ports })
    return await act(scene)
  } catch (error) {
    return `refused to start: ${errorCode(error)}`
  }
}
const readOnce = (scene: Pick<Scene, 'agent' | 'tryCall'>) => scene.tryCall(scene.agent(), grantId)

const replaceKey = (data: string, service: string, name: string, purpose: 'permit' | 'credential') => {
  const folder = paths(data).keys(service)
  rmSync(keyFilePath(folder, name))
  writeKeyFile(folder, name, generateKey(purpose))
}

it('an untouched copy continues', async () => {
  expect(await started(kept, () => undefined)).toBe('ok')
})

it.each<[what: string, told: RegExp, tamper: (data: string) => void]>([
  [
    'policies that allow everything',
    /^policy_error$/,
    (data) => {
      const folder = paths(data).policies('')
      for (const set of readdirSync(folder))
        for (const file of readdirSync(join(folder, set)))
          if (file.endsWith('.cedar')) writeFileSync(join(folder, set, file), 'permit(principal, action, resource);')
    },
  ],
  [
    'a permit key of their own',
    /^evidence_unavailable$/, // the decision point signs with the key that is active in the registry, which is not in this folder
    (data) => replaceKey(data, 'policy-decision', 'permit', 'permit'),
  ],
  [
    'a credential key of their own',
    /^(credential_|service_unready$)/,
    (data) => replaceKey(data, 'issuer', 'credential', 'credential'),
  ],
  [
    "another service's key",
    /^refused to start: key_purpose_wrong$/,
    (data) =>
      copyFileSync(
        keyFilePath(paths(data).keys('approval'), 'event'),
        keyFilePath(paths(data).keys('issuer'), 'event'),
      ),
  ],
  [
    'a key that every user can read',
    /^refused to start: config_invalid$/,
    (data) => chmodSync(keyFilePath(paths(data).keys('issuer'), 'event'), 0o644),
  ],
])(
  'an attacker who leaves %s in the data directory gets nothing allowed (V3, V12, V13)',
  async (_what, told, tamper) => {
    expect(await started(kept, tamper)).toMatch(told)
  },
)

it('used-up uses stay used up when the grant store is deleted (V9)', async () => {
  const deleted = (data: string) => rmSync(paths(data).grants, { recursive: true })
  expect(await started(kept, deleted, adjust)).toBe('uses_exhausted')
})

it('a bus that is restored to before a revocation revives nothing (V7)', async () => {
  const putBack = (data: string) => {
    rmSync(paths(data).bus, { recursive: true })
    cpSync(paths(kept).bus, paths(data).bus, { recursive: true })
  }
  expect(await started(later, putBack)).toBe('refused to start: log_inconsistent')
})
