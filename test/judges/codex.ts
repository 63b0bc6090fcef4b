import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { type Ended, judges, runScript } from './programs.ts'

/** Runs Codex CLI once, unmodified, with this model and this MCP server; resolves when it ends. It keeps nothing. */
export async function runCodex({
  model,
  mcp,
  prompt,
  signal,
}: {
  model: string
  /** The server of tools, as a script for Node.js and its arguments. */
  mcp: readonly string[]
  prompt: string
  /** Ends it early. */
  signal?: AbortSignal
}): Promise<Ended> {
  // Codex makes no helpers in the system's folder for temporary files.
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'bailiwick')
  mkdirSync(cache, { recursive: true })
  const home = mkdtempSync(join(cache, 'codex-'))
  try {
    writeFileSync(join(home, 'config.toml'), config(model, mcp))
    const args = ['exec', '--skip-git-repo-check', '--json', prompt]
    const env = { CODEX_HOME: home, SCRIPTED_MODEL_KEY: 'placeholder', HOME: home }
    return await runScript(judges.codex(), args, { cwd: home, env, ...(signal && { signal }) })
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}

const config = (model: string, mcp: readonly string[]) => `
model = "scripted"
model_provider = "scripted"
approval_policy = "never"
sandbox_mode = "read-only"

[model_providers.scripted]
name = "scripted"
base_url = "${model}"
wire_api = "responses"
env_key = "SCRIPTED_MODEL_KEY"

[mcp_servers.tools]
command = ${JSON.stringify(process.execPath)}
args = ${JSON.stringify(mcp)}
startup_timeout_sec = 120
tool_timeout_sec = 120
default_tools_approval_mode = "approve"
required = true
`
