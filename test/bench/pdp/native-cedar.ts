import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

const folder = join(import.meta.dirname, 'native-cedar')
const program = join(folder, 'target/release/native-cedar')

/**
 * Cedar itself as a decision point: a small program in Rust, built by cargo from its lock file. undefined where there is no cargo, or it
 * cannot be built. `mayBuild`: a first build takes minutes.
 */
export async function nativeCedar(mayBuild: boolean, progress: (line: string) => void): Promise<string | undefined> {
  if (spawnSync('cargo', ['--version']).status !== 0 || (!mayBuild && !existsSync(program))) return undefined
  progress('pdp: building Cedar itself')
  const cargo = spawn('cargo', ['build', '--release', '--locked'], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  cargo.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-1000)
  })
  const [code] = await once(cargo, 'close')
  if (code === 0) return program
  progress(`pdp: Cedar itself is not measured, because it cannot be built: ${said}`)
  return undefined
}
