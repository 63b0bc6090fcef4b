import type { EnforcementPoint } from '@bailiwick/pep'

interface RevokedKeysOptions {
  point: Pick<EnforcementPoint, 'watch'>
  /** ms since the epoch */
  now: () => number
}

interface Certified {
  readonly line: string
  readonly agent: string
  /** When its certificate ends on a host whose clock is late, in ms since the epoch. */
  readonly until: number
  isRevoked: boolean
  readonly watch: Disposable
}

/** How far a host's clock may be off, in ms. */
const skewMs = 60_000

/** The keys that were certified, for as long as their certificates are valid, and which of them have lost their grant since. */
export class RevokedKeys implements Disposable {
  readonly #options: RevokedKeysOptions
  readonly #certified = new Set<Certified>()

  constructor(options: RevokedKeysOptions) {
    this.#options = options
  }

  get size(): number {
    this.#forget()
    return this.#certified.size
  }

  /** How many certificates of an agent are valid. */
  sizeOf(agent: string): number {
    this.#forget()
    return [...this.#certified].filter((each) => each.agent === agent).length
  }

  /** Watches the grant behind a certificate. A grant that the decision point does not confirm counts as withdrawn. */
  certified(
    line: string,
    { agent, decisionId, validBefore }: { agent: string; decisionId: string; validBefore: number },
  ): void {
    const cut = () => {
      entry.isRevoked = true
    }
    const watch = this.#options.point.watch(decisionId, cut)
    const entry: Certified = { line, agent, until: validBefore * 1000 + skewMs, isRevoked: false, watch }
    this.#certified.add(entry)
    // The gateway stops asking about the grant once the certificate has ended.
    setTimeout(() => this.#forget(), entry.until - this.#options.now()).unref()
  }

  /** A file for `RevokedKeys` of sshd: a key in each line. */
  get text(): string {
    this.#forget()
    const revoked = [...this.#certified].filter(({ isRevoked }) => isRevoked).map(({ line }) => line)
    return ['# Keys whose grant has ended, from Bailiwick', ...new Set(revoked), ''].join('\n')
  }

  #forget(): void {
    for (const entry of this.#certified)
      if (entry.until <= this.#options.now()) {
        entry.watch[Symbol.dispose]()
        this.#certified.delete(entry)
      }
  }

  [Symbol.dispose](): void {
    for (const { watch } of this.#certified) watch[Symbol.dispose]()
    this.#certified.clear()
  }
}
