import { execFile, execFileSync, spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { endWithThis } from '@bailiwick/native'
import { freePort } from '@bailiwick/testkit'
import { GatewayWorld } from './gateway-world.ts'

const sshd = '/usr/sbin/sshd'
/** In CI the tests run, and fail, where it is missing. */
export const hasSshd = existsSync(sshd) || process.env.CI === 'true'
/** The account of this process is the only one that every sshd can log in. */
export const account = userInfo().username

/** Two hosts behind a gateway. `fleet` lets agents in from this machine, and `far` from another network. */
export class SshWorld implements AsyncDisposable {
  readonly world: GatewayWorld
  readonly folder: string
  /** The ports of the hosts, by name. */
  readonly ports: Readonly<Record<string, number>>
  readonly #owned: AsyncDisposable

  private constructor(world: GatewayWorld, folder: string, ports: Record<string, number>, owned: AsyncDisposable) {
    this.world = world
    this.folder = folder
    this.ports = ports
    this.#owned = owned
  }

  static async open(): Promise<SshWorld> {
    await using opening = new AsyncDisposableStack()
    const folder = mkdtempSync(join(tmpdir(), 'bailiwick-ssh-'))
    opening.defer(() => rmSync(folder, { recursive: true, force: true }))
    const { privateKey } = generateKeyPairSync('ed25519')
    const text = privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64')
    writeFileSync(join(folder, 'ca.key'), text, { mode: 0o600 })
    const entry = { ca: `\${secret:file:${join(folder, 'ca.key')}}`, hosts: ['web-1', 'web-2'], accounts: [account] }
    const sshs = {
      fleet: { ...entry, source_addresses: ['127.0.0.0/8'] },
      far: { ...entry, source_addresses: ['10.99.0.0/16'] },
    }
    const world = opening.use(await GatewayWorld.open({ sshs }))
    writeFileSync(join(folder, 'ca.pub'), await (await fetch(`${world.url}/ssh/fleet/ca`)).text())
    writeFileSync(join(folder, 'revoked'), '')
    const ports: Record<string, number> = {}
    for (const host of entry.hosts) {
      const { port, process } = await startHost(folder, host)
      opening.defer(() => void process.kill('SIGKILL'))
      ports[host] = port
    }
    return new SshWorld(world, folder, ports, opening.move())
  }

  /** What a host does every few seconds. */
  async refresh(): Promise<string> {
    const answer = await fetch(`${this.world.url}/ssh/fleet/revoked`)
    const text = await answer.text()
    if (answer.ok) writeFileSync(join(this.folder, 'revoked'), text)
    return text
  }

  log(host: string): string {
    return readFileSync(join(this.folder, `${host}.log`), 'utf8')
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#owned[Symbol.asyncDispose]()
  }
}

async function startHost(folder: string, host: string) {
  const at = (name: string) => join(folder, `${host}.${name}`)
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', at('key')])
  const port = await freePort()
  mkdirSync(at('accounts'))
  writeFileSync(join(at('accounts'), account), `${account}@${host}\n`)
  const lines = [
    ...[`Port ${port}`, 'ListenAddress 127.0.0.1', `HostKey ${at('key')}`, 'PidFile none', 'UsePAM no'],
    ...['StrictModes no', 'PasswordAuthentication no', 'KbdInteractiveAuthentication no', 'PermitRootLogin yes'],
    ...[`TrustedUserCAKeys ${join(folder, 'ca.pub')}`, `RevokedKeys ${join(folder, 'revoked')}`],
    ...[`AuthorizedPrincipalsFile ${at('accounts')}/%u`, 'AuthorizedKeysFile none', 'LogLevel VERBOSE'],
  ]
  writeFileSync(at('conf'), `${lines.join('\n')}\n`)
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true })
  const child = spawn(sshd, ['-D', '-f', at('conf'), '-E', at('log')], { stdio: 'ignore' })
  endWithThis(child)
  for (let tries = 0; !existsSync(at('log')) || !readFileSync(at('log'), 'utf8').includes('listening'); tries++) {
    if (tries > 100)
      throw new Error(`sshd did not start: ${existsSync(at('log')) ? readFileSync(at('log'), 'utf8') : ''}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return { port, process: child }
}

/** Runs a program, and gives its exit code and all that it said. */
export const ran = (file: string, args: readonly string[], input = '') =>
  new Promise<{ code: number | string; out: string; err: string }>((resolve) => {
    const child = execFile(file, [...args], { timeout: 30_000 }, (error, out, err) =>
      resolve({ code: error?.code ?? (error === null ? 0 : 'killed'), out, err }),
    )
    child.stdin?.end(input)
  })

/** ssh without any file of the person who runs the tests. */
export const sshOptions = (port: number, key: string, certificate = `${key}-cert.pub`): string[] => [
  ...['-F', 'none', '-p', String(port), '-i', key, '-o', `CertificateFile=${certificate}`, '-o', 'IdentitiesOnly=yes'],
  ...['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'BatchMode=yes'],
]

/** What a grant allows at these hosts. */
export const sshAuthority = (more: Record<string, object> = {}, server = 'fleet') => ({
  type: 'bailiwick_task',
  task: 'restart-the-service',
  permissions: [
    {
      actions: ['tools/call'],
      resource: { type: 'tool', id: `${server}/login` },
      where: {
        '/host': { eq: 'web-1' },
        '/account': { eq: account },
        '/command': { in: ['echo restarted', 'echo "$SSH_ORIGINAL_COMMAND"'] },
        ...more,
      },
    },
  ],
  budget: { calls: 50 },
  max_depth: 0,
  max_children: 0,
})
