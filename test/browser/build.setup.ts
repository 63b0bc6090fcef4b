import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

/** `npm test` has built it; whoever runs this project by itself shall not test what was built before. */
export default function setup(): void {
  execFileSync(process.execPath, [join(import.meta.dirname, '../../scripts/build-console.mjs')], { stdio: 'inherit' })
}
