import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { endWithThis } from '@bailiwick/native'
import { freePort } from '@bailiwick/testkit'
import { Server } from '../pdp/server.ts'
import { price } from './place.ts'

/** A program that stands in front of the upstream, and that we did not write. */
export interface Other extends AsyncDisposable {
  /** In a sentence, for the readers of the numbers. */
  readonly described: string
  readonly url: string
  readonly pid: number
}

const readyWithinMs = 120_000

/** nginx as it passes requests through, over connections that it keeps; where there is none, a bare relay in Node.js. */
export async function passThrough(dir: string, upstreamUrl: string): Promise<Other & { name: string }> {
  const version = /nginx\/([\d.]+)/.exec(spawnSync('nginx', ['-v'], { encoding: 'utf8' }).stderr ?? '')?.[1]
  const port = await freePort()
  if (version === undefined) {
    const main = join(import.meta.dirname, 'relay-main.ts')
    const server = await Server.start({ main, env: { UPSTREAM: upstreamUrl }, port })
    const described = 'a bare relay in Node.js that decides nothing, since nginx is not installed'
    return Object.assign(server, { name: 'a bare relay', described })
  }
  mkdirSync(dir, { recursive: true })
  const conf = join(dir, 'nginx.conf')
  writeFileSync(conf, nginxConf(dir, port, new URL(upstreamUrl).host))
  const nginx = await Program.start('nginx', ['-c', conf, '-p', dir, '-e', join(dir, 'error.log')], {
    ready: `http://127.0.0.1:${port}/readyz`,
  })
  return Object.assign(nginx, {
    name: 'nginx',
    described: `nginx ${version}, one process that passes requests through`,
  })
}

const nginxConf = (dir: string, port: number, upstream: string): string => `
daemon off;
master_process off;
pid ${dir}/nginx.pid;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path ${dir}/body;
  proxy_temp_path ${dir}/proxy;
  fastcgi_temp_path ${dir}/fastcgi;
  uwsgi_temp_path ${dir}/uwsgi;
  scgi_temp_path ${dir}/scgi;
  keepalive_requests 1000000;
  upstream up { server ${upstream}; keepalive 128; keepalive_requests 1000000; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / { proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}
`

/** The key with which clients call LiteLLM's proxy. */
export const liteLlmKey = 'sk-bench'

/** LiteLLM's proxy, by its program `litellm`: one worker, prices for the model, and a budget for its provider. It has no database. */
export async function liteLlm(
  dir: string,
  { program, upstreamUrl, dollars }: { program: string; upstreamUrl: string; dollars: number },
): Promise<Other> {
  mkdirSync(dir, { recursive: true })
  const port = await freePort()
  const perToken = (perMillion: string) => Number(perMillion) / 1e6
  const config = {
    model_list: [
      {
        model_name: 'small',
        litellm_params: {
          ...{ model: 'openai/small', api_base: `${upstreamUrl}/v1`, api_key: 'sk-upstream' },
          ...{ input_cost_per_token: perToken(price.input), output_cost_per_token: perToken(price.output) },
        },
      },
    ],
    router_settings: { provider_budget_config: { openai: { budget_limit: dollars, time_period: '1d' } } },
    litellm_settings: { telemetry: false, num_retries: 0 },
    general_settings: { master_key: liteLlmKey },
  }
  const path = join(dir, 'litellm.yaml')
  writeFileSync(path, JSON.stringify(config))
  const words = ['--config', path, '--host', '127.0.0.1', '--port', String(port), '--num_workers', '1']
  const started = await Program.start(program, words, {
    ready: `http://127.0.0.1:${port}/health/liveliness`,
    env: { LITELLM_LOCAL_MODEL_COST_MAP: 'True', LITELLM_LOG: 'ERROR', LITELLM_MODE: 'PRODUCTION' },
  })
  return Object.assign(started, {
    described: `LiteLLM's proxy, one worker, with a budget for the provider and no database`,
  })
}

/** Another program, until it is disposed of. */
class Program implements AsyncDisposable {
  readonly url: string
  readonly pid: number
  readonly #child: ChildProcess
  #output = ''

  private constructor(child: ChildProcess, url: string) {
    if (child.pid === undefined) throw new Error('a program could not be started')
    this.#child = child
    this.pid = child.pid
    this.url = url
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        this.#output = (this.#output + chunk.toString()).slice(-4000)
      })
  }

  /** `ready`: an address that answers once it is. */
  static async start(
    file: string,
    args: readonly string[],
    { ready, env = {} }: { ready: string; env?: Readonly<Record<string, string>> },
  ): Promise<Program> {
    const child = spawn(file, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    endWithThis(child)
    const program = new Program(child, new URL(ready).origin)
    await program.#answers(ready)
    return program
  }

  async #answers(ready: string): Promise<void> {
    for (const end = performance.now() + readyWithinMs; performance.now() < end; await setTimeout(200)) {
      const answer = await fetch(ready, { signal: AbortSignal.timeout(2000) }).catch(() => undefined)
      await answer?.arrayBuffer().catch(() => undefined)
      if (answer?.ok) return
      if (this.#child.exitCode !== null) break
    }
    throw new Error(`a program does not get ready:\n${this.#output}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    this.#child.kill('SIGKILL')
    await once(this.#child, 'exit')
  }
}
