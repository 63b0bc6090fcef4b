import { chmodSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Io } from '../../io.ts'
import type { OwnNetwork } from '../own-network.ts'
import { makeRunFolder } from '../run-folder.ts'
import { listenProxy } from './listen-proxy.ts'
import { runAuthority } from './run-authority.ts'
import type { Site } from './sites.ts'

export interface OpenProxyOptions {
  io: Pick<Io, 'random' | 'clock'>
  user: number | undefined
  /** Of the program, if it has not that of this machine. */
  network?: OwnNetwork | undefined
  report: (line: string) => void
}

/** By which programs find the certificates that they trust. For all but `NODE_EXTRA_CA_CERTS` they then trust no others. */
const certificateVariables = [
  ...['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE', 'GIT_SSL_CAINFO', 'PIP_CERT'],
  ...['CARGO_HTTP_CAINFO', 'AWS_CA_BUNDLE', 'DENO_CERT'],
]
/** The places of this run, and what a program serves to itself. */
const direct = '127.0.0.1,localhost,::1'
/** Refused addresses that are said. A program could otherwise fill the terminal. */
const mostSaid = 50

/** Serves the proxy of a run. `env`: what a program needs to use it. Its folder has the certificate, which is public, and no key. */
export async function openProxy(
  sites: readonly Site[],
  { io, user, network, report }: OpenProxyOptions,
): Promise<{ env: Record<string, string> } & AsyncDisposable> {
  await using opening = new AsyncDisposableStack()
  const secure = sites.map(({ origin }) => new URL(origin)).filter(({ protocol }) => protocol === 'https:')
  const hosts = [...new Set(secure.map(({ hostname }) => hostname))]
  const authority = runAuthority(hosts, { now: io.clock.now(), random: io.random })
  const folder = makeRunFolder('bailiwick-run-')
  opening.defer(() => rmSync(folder, { recursive: true, force: true }))
  chmodSync(folder, 0o755) // a program of another user reads it too
  const file = join(folder, 'certificate.pem')
  writeFileSync(file, authority.certificate, { mode: 0o444 })
  const said = new Set<string>()
  const onRefused = (origin: string) => {
    if (said.has(origin) || said.size === mostSaid) return
    said.add(origin)
    report(`refused ${origin}: no entry of this run stands for it`)
  }
  const { url, accept } = opening.use(await listenProxy({ sites, authority, random: io.random, user, onRefused }))
  await network?.serve(Number(new URL(url).port), accept)
  const owned = opening.move()
  const both = (name: string, value: string) => ({ [name]: value, [name.toLowerCase()]: value })
  return {
    env: {
      ...both('HTTP_PROXY', url),
      ...both('HTTPS_PROXY', url),
      ...both('ALL_PROXY', url),
      ...both('NO_PROXY', direct),
      NODE_USE_ENV_PROXY: '1',
      ...(hosts.length === 0 ? {} : Object.fromEntries(certificateVariables.map((name) => [name, file]))),
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
