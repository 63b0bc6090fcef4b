import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { extname, join } from 'node:path'
import { type Env, type Logger, nodeArguments } from '@bailiwick/host'

export interface GatewayBeside {
  /** Path of its file. */
  config: string
  port: number
  /** Where agents call it, unless that is its own port of this machine. */
  url: string | undefined
  env: Env
  logger: Logger
}

const main = join(import.meta.dirname, `../../gateway/src/main${extname(import.meta.filename)}`)
/** Ends the gateway when this process is gone, even after SIGKILL: the kernel then closes the channel between them. */
const endsWithUs =
  "data:text/javascript,process.once('disconnect',()=>process.kill(process.pid,'SIGTERM'));process.channel?.unref()"

/**
 * Starts the MCP gateway beside the four services. It is another process, because it holds the secrets of other people's servers and talks to
 * those servers: it asks the decision point over HTTP, as any enforcement point does. If it ends, the services go on.
 */
export function startGatewayBeside({ config, port, url, env, logger }: GatewayBeside): AsyncDisposable {
  const own = { BAILIWICK_GATEWAY_CONFIG: config, BAILIWICK_PORT: String(port), BAILIWICK_PUBLIC_URL: url ?? '' }
  const child = spawn(process.execPath, [...nodeArguments(env), '--import', endsWithUs, main], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...env, ...own },
  })
  let isStopping = false
  const ended = once(child, 'exit').catch(() => [])
  void ended.then(([code, signal]) => {
    if (!isStopping && code !== 0)
      logger.error({ code, signal }, 'THE GATEWAY ENDED: NO CALL REACHES A SERVER BEHIND IT')
  })
  return {
    async [Symbol.asyncDispose]() {
      isStopping = true
      child.kill('SIGTERM')
      await ended
    },
  }
}
