import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { passing, patiently } from '../e2e/gateway-world.ts'
import { account, hasSshd, ran, SshWorld, sshAuthority, sshOptions } from '../e2e/ssh-world.ts'

/* An agent that may run one command on one host, and wants more. The hosts are Debian's sshd, and the client is ssh. */

let at: SshWorld
let grantId: string
let requestId: string
beforeAll(async () => {
  if (hasSshd) at = await SshWorld.open()
})
afterAll(() => at?.[Symbol.asyncDispose]())
beforeEach(async () => {
  if (hasSshd) ({ grantId, requestId } = await at.world.granted(sshAuthority()))
})

let keys = 0
function newKey(): { path: string; line: string } {
  const path = join(at.folder, `id-${++keys}`)
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', path])
  return { path, line: readFileSync(`${path}.pub`, 'utf8').trim() }
}

interface Asked {
  entry?: string
  host?: string
  account?: string
  command?: string
  grant?: string
}

async function signed(
  path: string,
  { entry = 'fleet', host = 'web-1', account: to = account, command = 'echo restarted' }: Asked,
) {
  const text = `bailiwick ssh login\n${entry}\n${host}\n${to}\n${command}\n`
  const { out } = await ran('ssh-keygen', ['-q', '-Y', 'sign', '-f', path, '-n', 'bailiwick'], text)
  return out
}

async function send(body: object, { entry = 'fleet', grant = grantId }: Asked = {}) {
  const url = `${at.world.url}/ssh/${entry}/login`
  for (let tries = 1; ; tries++) {
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
    const answer = await at.world.agent().fetch(url, init, { grant: { grantId: grant } })
    const text = await answer.text()
    const code = /"code":"(\w+)"/.exec(text)?.[1]
    if (!passing.has(code) || tries > 20) return { status: answer.status, code, text }
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
}

/** Asks for a certificate, and keeps it beside its key. */
async function certified(asked: Asked = {}, key = newKey()) {
  const { host = 'web-1', account: to = account, command = 'echo restarted' } = asked
  const signature = await signed(key.path, asked)
  const answer = await send({ host, account: to, command, key: key.line, signature }, asked)
  if (answer.status === 200) writeFileSync(`${key.path}-cert.pub`, answer.text)
  return { ...answer, key }
}

const login = (host: string, key: string, ...command: string[]) =>
  ran('ssh', [...sshOptions(at.ports[host] ?? 0, key), `${account}@127.0.0.1`, ...command])

describe.skipIf(!hasSshd)('a certificate for one login', () => {
  it('runs its command on its host, and says in the host’s log whose it is', async () => {
    const { key, text } = await certified()
    const shown = (await ran('ssh-keygen', ['-L', '-f', `${key.path}-cert.pub`])).out
    expect(shown).toContain('Type: ssh-ed25519-cert-v01@openssh.com user certificate')
    expect(shown).toMatch(/force-command echo restarted/)
    expect(shown).toMatch(/source-address 127\.0\.0\.0\/8/)
    expect(shown).toMatch(/Extensions: \(none\)/)
    expect(text.trim().split(' ')).toHaveLength(2)
    expect(await login('web-1', key.path)).toMatchObject({ code: 0, out: 'restarted\n' })
    const [, id = ''] = /Key ID: "([^"]+)"/.exec(shown) ?? []
    expect(id).toMatch(new RegExp(`^bailiwick ${grantId} crd_\\w+ dec_\\w+$`))
    expect(at.log('web-1')).toContain(`ID ${id}`)
  })

  it('is valid for no longer than its entry and its credential say', async () => {
    const { key } = await certified()
    const shown = (await ran('ssh-keygen', ['-L', '-f', `${key.path}-cert.pub`])).out
    const [, from = '', to = ''] = /Valid: from (\S+) to (\S+)/.exec(shown) ?? []
    const seconds = (new Date(to).getTime() - new Date(from).getTime()) / 1000
    expect(seconds).toBeLessThanOrEqual(65)
    expect(new Date(to).getTime()).toBeLessThanOrEqual(Date.now() + 60_000)
  })

  it('lets no other command run, and gives no terminal, no forwarding and no file transfer', async () => {
    const { key } = await certified()
    for (const command of ['id', 'echo restarted; id', '$(id)', '\nid'])
      expect(await login('web-1', key.path, command)).toMatchObject({ code: 0, out: 'restarted\n' })
    const original = await certified({ command: 'echo "$SSH_ORIGINAL_COMMAND"' })
    expect((await login('web-1', original.key.path, '$(id)')).out).toBe('$(id)\n')
    const to = sshOptions(at.ports['web-1'] ?? 0, key.path)
    const terminal = await ran('ssh', [...to, '-tt', `${account}@127.0.0.1`])
    expect(terminal.out + terminal.err).toMatch(/PTY allocation request failed/)
    const forward = ['-N', '-o', 'ExitOnForwardFailure=yes', '-R', '0:127.0.0.1:1']
    expect((await ran('ssh', [...to, ...forward, `${account}@127.0.0.1`])).code).not.toBe(0)
    expect(
      (await ran('sftp', [...to.flatMap((each) => (each === '-p' ? ['-P'] : [each])), `${account}@127.0.0.1`])).code,
    ).not.toBe(0)
  })

  it('is good for no other host and no other account', async () => {
    const { key } = await certified()
    expect(await login('web-2', key.path)).toMatchObject({ code: 255 })
    const other = await ran('ssh', [...sshOptions(at.ports['web-1'] ?? 0, key.path), 'daemon@127.0.0.1'])
    expect(other.code).toBe(255)
  })

  it('is good from no other network', async () => {
    const { grantId: grant } = await at.world.granted(sshAuthority({}, 'far'))
    const { status, key } = await certified({ entry: 'far', grant })
    expect(status).toBe(200)
    expect(await login('web-1', key.path)).toMatchObject({ code: 255 })
    expect(at.log('web-1')).toContain('permitted source address')
  })

  it('ends with the task, once the host has the list (V7)', async () => {
    const { key } = await certified()
    expect(await login('web-1', key.path)).toMatchObject({ code: 0 })
    expect(await at.refresh()).not.toContain(key.line)
    await patiently(() => at.world.approver.withdraw(requestId))
    await expect.poll(() => at.refresh(), { timeout: 10_000 }).toContain(key.line)
    expect(await login('web-1', key.path)).toMatchObject({ code: 255 })
    // The issuer has no credential for it any more, or the gateway denies.
    expect((await certified().catch(() => ({ status: 403 }))).status).toBeGreaterThanOrEqual(400)
  })
})

describe.skipIf(!hasSshd)('no certificate is given', () => {
  const asked = { host: 'web-1', account, command: 'echo restarted' }

  it('for what the grant does not have: another host, command or account', async () => {
    for (const more of [{ host: 'web-2' }, { command: 'id' }, { command: 'echo restarted;id' }])
      expect(await certified(more)).toMatchObject({ status: 403, code: 'argument_out_of_bounds' })
    expect(await certified({ entry: 'far' })).toMatchObject({ status: 403, code: 'action_not_granted' })
  })

  it('for what gateway.yaml does not have, and for what cannot be read in one way', async () => {
    const { path, line } = newKey()
    const signature = await signed(path, {})
    const good = { ...asked, key: line, signature }
    for (const odd of [
      { ...good, host: 'web-3' },
      { ...good, account: 'daemon' },
      { ...good, command: 'echo restarted\nid' },
      { ...good, command: 'echo restarted\u2028id' },
      { ...good, command: '' },
      { ...good, seconds: 3600 },
      { ...good, key: `${line} comment` },
      { ...good, key: `no-pty ${line}` },
      { ...good, key: `cert-authority ${line}` },
      { ...good, key: line.replace('ssh-ed25519 ', 'ssh-rsa ') },
      { ...good, key: `${line}\n${line}` },
      { ...asked, key: line },
    ])
      expect(await send(odd)).toMatchObject({ status: 400, code: 'request_malformed' })
    expect((await send(good)).status).toBe(200)
  })

  it('for a key that did not ask for this login', async () => {
    const [own, other] = [newKey(), newKey()]
    const forged = [
      await signed(own.path, {}),
      await signed(other.path, { host: 'web-2' }),
      await signed(other.path, { command: 'id' }),
      await signed(other.path, { entry: 'far' }),
      (
        await ran(
          'ssh-keygen',
          ['-q', '-Y', 'sign', '-f', other.path, '-n', 'file'],
          `bailiwick ssh login\nfleet\nweb-1\n${account}\necho restarted\n`,
        )
      ).out,
      '-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH SIGNATURE-----\n',
      '',
    ]
    for (const signature of forged)
      expect(await send({ ...asked, key: other.line, signature })).toMatchObject({ code: 'request_malformed' })
  })

  it('without a credential, and with another agent’s proof', async () => {
    const { path, line } = newKey()
    const body = JSON.stringify({ ...asked, key: line, signature: await signed(path, {}) })
    const headers = { 'content-type': 'application/json' }
    const bare = await fetch(`${at.world.url}/ssh/fleet/login`, { method: 'POST', headers, body })
    expect(bare.status).toBe(401)
    const text = await (await fetch(`${at.world.url}/ssh/fleet/ca`)).text()
    expect(text).toMatch(/^ssh-ed25519 [A-Za-z0-9+/]{68}\n$/)
    expect((await fetch(`${at.world.url}/ssh/none/ca`)).status).toBe(404)
  })
})
