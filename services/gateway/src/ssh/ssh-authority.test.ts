import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempDisposableSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeBase64url } from '@bailiwick/credentials'
import { systemRandom } from '@bailiwick/kit'
import { aPoint, FakePdp } from '@bailiwick/pep/fake-pdp'
import { openSecrets } from '@bailiwick/relay'
import { expect, it } from 'vitest'
import { Shares } from '../mcp/shares.ts'
import { namespace, signedText } from './login-request.ts'
import { RevokedKeys } from './revoked-keys.ts'
import { SshAuthority } from './ssh-authority.ts'
import { sshEntry } from './ssh-entry.ts'

const address = 'https://gw.example/ssh/fleet'
const asked = { host: 'web-1', account: 'deploy', command: 'true' }

function signedBody(): string {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'ssh-authority-'))
  const id = join(folder.path, 'id')
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', id])
  const signature = execFileSync('ssh-keygen', ['-q', '-Y', 'sign', '-f', id, '-n', namespace], {
    input: signedText('fleet', asked),
    stdio: ['pipe', 'pipe', 'ignore'],
  }).toString()
  return JSON.stringify({ ...asked, key: readFileSync(`${id}.pub`, 'utf8').trim(), signature })
}

it('gives an agent that has many certificates no more, and still gives other agents theirs (V18)', async () => {
  await using pdp = await FakePdp.start()
  await using point = await aPoint(pdp)
  const ca = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64')
  using revoked = new RevokedKeys({ point, now: () => Date.now() })
  await using authority = new SshAuthority({
    ...{ name: 'fleet', point, address, audiences: [], revoked, random: systemRandom, now: () => Date.now() },
    secrets: openSecrets({ env: { CA: ca } }),
    shares: new Shares(() => ({ streams: 8, processes: 1, sessions: 1 })),
    entry: sshEntry.parse({
      ...{ ca: `\${secret:env:CA}`, hosts: ['web-1'], accounts: ['deploy'], source_addresses: ['10.0.0.0/8'] },
    }),
  })
  const validBefore = Math.floor(Date.now() / 1000) + 60
  for (let n = 0; n < 500; n++)
    revoked.certified(`ssh-ed25519 ${n}`, { agent: 'a', decisionId: `dec_${n}`, validBefore })
  const body = Buffer.from(signedBody())
  const call = (agent: string) => {
    const claims = { sub: agent, client_id: `${agent}/1`, aud: address, exp: validBefore, grant: { root: 'grt_1' } }
    const credential = `a.${encodeBase64url(Buffer.from(JSON.stringify(claims)))}.c`
    return authority.call(
      { method: 'POST', target: '/login', headers: ['content-type', 'application/json'], body },
      { credential, proof: 'd.e.f', callId: undefined, htu: `${address}/login` },
      new AbortController().signal,
    )
  }
  await expect(call('a')).rejects.toThrow('upstream_busy')
  const relayed = await call('b')
  if (!('executed' in relayed)) throw new Error(JSON.stringify(relayed))
  const parts: Uint8Array[] = []
  for await (const part of relayed.executed.body) parts.push(part)
  expect(Buffer.concat(parts).toString()).toMatch(/^ssh-ed25519-cert-v01@openssh.com /)
})
