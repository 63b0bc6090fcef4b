import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { findProgram } from '@bailiwick/native'
import { chartHash, goldenFolder, helmFolder, valueFiles } from './helm-chart.ts'

// node test/infra/render-helm.ts [--check]
// Lints the chart and renders it with each value file into infra/helm/golden; with --check reports files that differ.
// Takes the helm on the PATH, or builds one from its Go module: 3 to 20 minutes.

const version = 'v3.19.0'
/** Rendering asks no cluster for its version. */
const kubernetes = '1.33.0'

function helmProgram(): string {
  const found = findProgram('helm')
  if (found !== undefined) return found
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'bailiwick', `helm-${version}`)
  const program = join(folder, 'helm')
  if (existsSync(program)) return program
  console.log(`building helm ${version}`)
  mkdirSync(folder, { recursive: true })
  const env = { ...process.env, GOBIN: folder }
  execFileSync('go', ['install', `helm.sh/helm/v3/cmd/helm@${version}`], { env, stdio: 'inherit' })
  return program
}

const check = process.argv.includes('--check')
const helm = helmProgram()
const chart = join(helmFolder, 'bailiwick')
const run = (...args: string[]) => execFileSync(helm, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
let stale = 0
mkdirSync(goldenFolder, { recursive: true })
const put = (name: string, text: string) => {
  const path = join(goldenFolder, name)
  const isSame = existsSync(path) && readFileSync(path, 'utf8') === text
  if (!isSame) stale++
  console.log(`${isSame ? 'as before' : check ? 'NOT AS THERE' : 'written'}  ${name}`)
  if (!isSame && !check) writeFileSync(path, text)
}
for (const [name, file] of Object.entries(valueFiles())) {
  run('lint', '--strict', chart, '--values', file)
  put(
    `${name}.yaml`,
    run('template', 'agents', chart, '--namespace', 'bailiwick', '--kube-version', kubernetes, '--values', file),
  )
}
put('chart.sha256', `${chartHash()}\n`)
if (check && stale > 0) process.exitCode = 1
