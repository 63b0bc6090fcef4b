import { statSync } from 'node:fs'
import { type ErrorCode, errorCode, ServiceError } from '@bailiwick/errors'
import type { Logger, Metrics } from '@bailiwick/host'
import { type GatewayFile, readGatewayFile } from './gateway-file.ts'
import type { Changes } from './served.ts'

export interface ReloadOptions {
  /** The path of `gateway.yaml`. */
  path: string
  /** The file as it was read at the start, and what it looked like then. */
  first: GatewayFile
  stamps: string
  /** Puts a file into use, or throws `config_invalid` and changes nothing. */
  apply: (file: GatewayFile) => Changes
  logger: Logger
  metrics: Metrics
  /** How often the files are looked at, in ms. */
  everyMs?: number
}

/** Members that decide who the gateway is. They are read at the start alone. */
const fixed = ['point', 'keys', 'trust', 'decision_point'] as const

/**
 * Reads `gateway.yaml` and the pin files again, when they changed and upon `now`. A file that cannot be used changes nothing: the
 * last one stays in use, and a line in capitals says why.
 */
export class Reload implements Disposable {
  readonly #options: ReloadOptions
  readonly #timer: NodeJS.Timeout
  readonly #reloads: ReturnType<Metrics['counter']>
  /** The file that was read last, whether it is in use or not: its pin files are looked at too. */
  #read: GatewayFile
  #stamps: string

  constructor(options: ReloadOptions) {
    const { first, stamps, metrics, everyMs = 1000 } = options
    this.#options = options
    this.#read = first
    this.#stamps = stamps
    this.#reloads = metrics.counter('gateway_reloads_total', 'Times that the gateway read its file again', ['result'])
    // Prometheus sees no increase in a series that first appears with 1.
    for (const result of ['used', 'refused']) this.#reloads.inc({ result }, 0)
    this.#timer = setInterval(() => {
      if (this.#now() !== this.#stamps) this.now()
    }, everyMs).unref()
  }

  /** Reads everything again at once. Returns why the file cannot be used, if it cannot. */
  now(): ErrorCode | undefined {
    const { path, first, apply, logger } = this.#options
    // Each stamp is taken before its file is read: a change meanwhile is seen at the next look.
    const own = stampOf(path)
    let stamps = [own, pinStamps(this.#read)].join('\n')
    try {
      const file = readGatewayFile(path)
      this.#read = file
      stamps = [own, pinStamps(file)].join('\n')
      const other = fixed.filter((member) => file[member] !== first[member])
      if (other.length > 0)
        throw new ServiceError('config_invalid', `${path}: ${other.join(', ')}: read at the start alone: start again`)
      const { added, changed, removed } = apply(file)
      this.#reloads.inc({ result: 'used' })
      logger.info({ added, changed, removed }, 'the gateway file was read again')
      return undefined
    } catch (err) {
      this.#reloads.inc({ result: 'refused' })
      logger.error({ err }, 'THE GATEWAY FILE CANNOT BE USED: THE LAST ONE STAYS')
      return errorCode(err)
    } finally {
      this.#stamps = stamps
    }
  }

  #now(): string {
    return stampsOf(this.#options.path, this.#read)
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}

/** What `gateway.yaml` and the pin files that it names look like now. One that is not there looks like itself too: it may come. */
export function stampsOf(path: string, file: GatewayFile): string {
  return [stampOf(path), pinStamps(file)].join('\n')
}

const pinStamps = ({ mcp }: GatewayFile): string =>
  Object.values(mcp)
    .flatMap(({ pin }) => (pin === undefined ? [] : [stampOf(pin)]))
    .join('\n')

function stampOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat === undefined ? `${path} is not there` : [path, stat.mtimeMs, stat.ctimeMs, stat.size, stat.ino].join()
}
