import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { endWithThis } from '@bailiwick/native'

/** The folder's own dependencies: `npm ci --ignore-scripts` in test/judges. They are not in the root's lock file. */
const modules = join(import.meta.dirname, 'node_modules')

/** By hand the tests are skipped without it; in CI they run, and fail. */
export const lacksJudges = process.env.CI !== 'true' && !existsSync(modules)

export interface Ended {
  code: number | null
  out: string
  err: string
}

/** The version of a program, if it is installed. */
export function versionOf(packageName: string): string | undefined {
  const file = join(modules, packageName, 'package.json')
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).version : undefined
}

/** The script of an installed program. */
export function installed(packageName: string, script: string): string {
  const file = join(modules, packageName, script)
  if (!existsSync(file)) throw new Error(`${file} is missing: run \`npm ci --ignore-scripts\` in test/judges`)
  return file
}

export const judges = {
  conformance: () => installed('@modelcontextprotocol/conformance', 'dist/index.js'),
  inspector: () => installed('@modelcontextprotocol/inspector', 'clients/launcher/build/index.js'),
  mcpRemote: () => installed('mcp-remote', 'dist/proxy.js'),
  supergateway: () => installed('supergateway', 'dist/index.js'),
  codex: () => installed('@openai/codex', 'bin/codex.js'),
  filesystem: () => installed('@modelcontextprotocol/server-filesystem', 'dist/index.js'),
}

/** Runs a script with this process's Node.js to its end, without input. It is killed after five minutes. */
export async function runScript(
  script: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv; signal?: AbortSignal } = {},
): Promise<Ended> {
  const child = spawn(process.execPath, [script, ...args], {
    ...options,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 300_000,
  })
  endWithThis(child)
  const code = new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve))
  const [out, err, ended] = await Promise.all([text(child.stdout), text(child.stderr), code])
  return { code: ended, out, err }
}
