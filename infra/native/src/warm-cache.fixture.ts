// One of several processes that want the same file at once. Prints whether it was the one that made it.
import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { cached } from './warm-cache.ts'

const dir = process.argv[2] ?? ''
await cached(dir, 'thing', async (path) => {
  process.stdout.write('made')
  await sleep(200)
  writeFileSync(path, 'whole')
})
