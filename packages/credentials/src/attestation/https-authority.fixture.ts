import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

type Answer = (request: IncomingMessage, response: ServerResponse) => void

/** An https server on this machine, with a certificate for `localhost` from its own certificate authority. */
export class HttpsAuthority implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'https-authority-'))
  readonly #server: Server
  /** Path → the answer there; without an entry: 404. */
  readonly answers = new Map<string, Answer>()
  readonly asked: string[] = []
  /** The certificate of the authority that signed its certificate; PEM. */
  readonly caFile = join(this.#folder, 'ca.pem')
  url = ''

  private constructor() {
    const at = (name: string) => join(this.#folder, name)
    const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' })
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
    openssl('req', '-x509', ...key, '-keyout', at('ca.key'), '-out', this.caFile, '-subj', '/CN=test authority')
    openssl('req', ...key, '-keyout', at('key.pem'), '-out', at('request.pem'), '-subj', '/CN=localhost')
    writeFileSync(at('names'), 'subjectAltName=DNS:localhost\n')
    const signed = ['-CA', this.caFile, '-CAkey', at('ca.key'), '-CAcreateserial', '-extfile', at('names')]
    openssl('x509', '-req', '-in', at('request.pem'), ...signed, '-out', at('cert.pem'), '-days', '2')
    const certificate = { key: readFileSync(at('key.pem')), cert: readFileSync(at('cert.pem')) }
    this.#server = createServer(certificate, (request, response) => {
      const { url = '' } = request
      this.asked.push(url)
      const answer = this.answers.get(url)
      if (answer === undefined) response.writeHead(404).end('{}')
      else answer(request, response)
    })
  }

  static async start(): Promise<HttpsAuthority> {
    const authority = new HttpsAuthority()
    await new Promise<void>((resolve) => authority.#server.listen(0, '127.0.0.1', resolve))
    authority.url = `https://localhost:${authority.port}`
    return authority
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get ca(): string {
    return readFileSync(this.caFile, 'utf8')
  }

  /** Serves this text from now on. */
  serve(path: string, text: () => string): void {
    this.answers.set(path, (_, response) => response.writeHead(200, { 'content-type': 'application/json' }).end(text()))
  }

  redirect(path: string, location: string): void {
    this.answers.set(path, (_, response) => response.writeHead(302, { location }).end())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
