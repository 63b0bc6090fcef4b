import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

/** `npm test` has built the console already. If you run this project alone, this build keeps it from testing an old one. */
export default function setup(): void {
  execFileSync(process.execPath, [join(import.meta.dirname, '../../scripts/build-console.mjs')], { stdio: 'inherit' })
}
