import { emptyRoot } from '@bailiwick/tlog'
import { LeafIndex } from './leaf-index.ts'

// Run by leaf-index.test.ts under `ulimit -f`, so that a write to the disk fails at some point: node failing-disk-child.ts <dir>.
const report = (line: unknown) => process.stdout.write(`${JSON.stringify(line)}\n`)
const head = { origin: 'log.example/log', time: 0, size: 0, root: emptyRoot(), consumed: {} }
const index = await LeafIndex.open(process.argv[2] ?? '', { read: async () => undefined }, head)
const leaf = (n: number) =>
  Buffer.from(
    JSON.stringify({ id: `evt_${n}`, type: 'grant.expired', source: '/issuer/a', time: '2026-11-24T18:00:00Z' }),
  )
let n = 0
try {
  for (; n < 10_000; n++) await index.add([leaf(n)], { ...head, size: n + 1 })
  report({ failed: 'never' })
} catch {
  report({ failed: n > 0, size: index.size === n })
}
await index[Symbol.asyncDispose]()
report({ end: 'orderly' })
