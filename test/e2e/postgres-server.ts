import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort } from '@bailiwick/testkit'

const run = promisify(execFile)

/** The folder of PostgreSQL's programs: that of `BAILIWICK_POSTGRES_BIN`, or Debian's newest. Throws if there is none. */
export function binaries(): string {
  const given = process.env.BAILIWICK_POSTGRES_BIN
  if (given !== undefined) return given
  const root = '/usr/lib/postgresql'
  const [newest] = existsSync(root) ? readdirSync(root).toSorted((a, b) => Number(b) - Number(a)) : []
  if (newest === undefined) throw new Error('PostgreSQL is not installed (Debian: postgresql)')
  return join(root, newest, 'bin')
}

export interface PsqlRun {
  code: number
  out: string
  said: string
}

/** Runs psql without the settings of this machine. */
export async function psql(to: string, args: readonly string[], env: Record<string, string> = {}): Promise<PsqlRun> {
  const all = ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', to, ...args]
  return new Promise((resolve) => {
    execFile('psql', all, { env: { PATH: process.env.PATH, LC_ALL: 'C', ...env } }, (error, out, said) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), out: out.trim(), said: said.trim() }),
    )
  })
}

/** psql that reads statements from its standard input, and that its user can interrupt. */
export function psqlInteractive(to: string, statements: string): { interrupt(): void; said: Promise<string> } {
  const child = spawn('psql', ['-X', '-A', '-t', '-d', to], { env: { PATH: process.env.PATH, LC_ALL: 'C' } })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
  child.stdin.end(statements)
  return { interrupt: () => void child.kill('SIGINT'), said: once(child, 'close').then(() => said) }
}

/** A real PostgreSQL of its own, with TLS and SCRAM, in a folder that goes with it. PostgreSQL refuses to run as root. */
export class PostgresServer implements AsyncDisposable {
  readonly port: number
  readonly folder: string
  readonly #stop: () => Promise<void>

  private constructor(port: number, folder: string, stop: () => Promise<void>) {
    this.port = port
    this.folder = folder
    this.#stop = stop
  }

  /** `bin`: the folder of another version's programs. */
  static async start(
    settings: Readonly<Record<string, string>> = {},
    bin: string = binaries(),
  ): Promise<PostgresServer> {
    const folder = mkdtempSync(join(tmpdir(), 'bailiwick-postgres-'))
    const as = process.getuid?.() === 0 ? await userNamed('postgres') : undefined
    if (as !== undefined) chownSync(folder, as.uid, as.gid)
    const data = join(folder, 'data')
    const options = { ...as, cwd: folder }
    writeFileSync(join(folder, 'password'), 'superuser-password')
    chmodSync(join(folder, 'password'), 0o644)
    await run(
      join(bin, 'initdb'),
      ['-D', data, '-U', 'postgres', '-A', 'scram-sha-256', '--pwfile', join(folder, 'password'), '--no-sync'],
      options,
    )
    const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')]
    await run(
      'openssl',
      `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout ${key} -out ${certificate}`.split(
        ' ',
      ),
      options,
    )
    const port = await freePort()
    const all = {
      ...{ port: String(port), listen_addresses: 'localhost', unix_socket_directories: folder },
      ...{ ssl: 'on', ssl_cert_file: certificate, ssl_key_file: key },
      ...{ fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' },
      ...settings,
    }
    const process_ = spawn(
      join(bin, 'postgres'),
      ['-D', data, ...Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
      { ...options, stdio: 'ignore' },
    )
    const server = new PostgresServer(port, folder, async () => {
      if (process_.exitCode === null) {
        process_.kill('SIGQUIT')
        await once(process_, 'exit')
      }
      rmSync(folder, { recursive: true, force: true })
    })
    for (let tries = 1; (await psql(server.url('postgres'), ['-c', 'SELECT 1'])).code !== 0; tries++) {
      if (tries === 200 || process_.exitCode !== null) throw new Error('PostgreSQL does not start')
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    return server
  }

  /** The file with the certificate by which it is known. */
  get ca(): string {
    return join(this.folder, 'certificate.pem')
  }

  /** The address for its superuser. */
  url(database: string): string {
    return `postgresql://postgres:superuser-password@localhost:${this.port}/${database}`
  }

  /** Runs statements as the superuser. Throws what psql says. */
  async query(database: string, sql: string): Promise<string> {
    const { code, out, said } = await psql(this.url(database), ['-c', sql])
    if (code !== 0) throw new Error(said)
    return out
  }

  async file(database: string, path: string): Promise<void> {
    const { code, said } = await psql(this.url(database), ['-f', path])
    if (code !== 0) throw new Error(said)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stop()
  }
}

async function userNamed(name: string): Promise<{ uid: number; gid: number }> {
  const [uid, gid] = await Promise.all(['-u', '-g'].map(async (of) => Number((await run('id', [of, name])).stdout)))
  return { uid: uid ?? 0, gid: gid ?? 0 }
}
