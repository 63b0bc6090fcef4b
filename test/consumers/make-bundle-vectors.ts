// Writes test/vectors/bundles anew, with new keys. Run it only when the format of bundles or of their events changes.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { told } from '@bailiwick/evidence/story-fixture'

type Path = (string | number)[]
interface Change {
  desc: string
  path: Path
  /** Absent: the value is removed. */
  value?: unknown
}

const folder = join(import.meta.dirname, '../vectors/bundles')
await told({}, async ({ trust }, { decisions }, evidence) => {
  const { body } = await evidence.http.inject({ method: 'GET', url: `/v1/bundle/${decisions[0]}` })
  const bundle = JSON.parse(body) as { checkpoint: string; leaves: { proof: string[]; event: string }[] }
  const { checkpoint, leaves } = bundle
  const at = (type: string) => leaves.findIndex(({ event }) => event.includes(`"type":"${type}"`))
  const last = leaves.length - 1
  const hash = leaves[last]?.proof[0] ?? ''
  const event = leaves[last]?.event ?? ''
  const changes: Change[] = [
    { desc: 'another version', path: ['v'], value: 2 },
    { desc: 'another kind', path: ['kind'], value: 'bundle' },
    { desc: 'an unknown member', path: ['note'], value: '' },
    { desc: 'about an id that no entry names', path: ['about'], value: 'dec_00000000000000000000000000' },
    { desc: 'a checkpoint of a larger tree', path: ['checkpoint'], value: checkpoint.replace(/\n\d+\n/, '\n9999\n') },
    {
      desc: 'a checkpoint without a signature',
      path: ['checkpoint'],
      value: checkpoint.replace(/\n\n[\s\S]*$/, '\n\n'),
    },
    { desc: 'a member of trust.json', path: ['trust', 'rp_id'], value: 'other.example' },
    { desc: 'the genesis of trust.json taken out', path: ['trust', 'genesis'] },
    { desc: 'an entry at another place', path: ['leaves', last, 'index'], value: 0 },
    {
      desc: 'an entry of which one character differs',
      path: ['leaves', last, 'event'],
      value: event.replace('"', "'"),
    },
    { desc: 'a proof without its first hash', path: ['leaves', last, 'proof', 0] },
    { desc: 'another hash in a proof', path: ['leaves', last, 'proof', 0], value: Buffer.alloc(32).toString('base64') },
    { desc: 'a hash with bits set that no decoder reads', path: ['leaves', last, 'proof', 0], value: respelt(hash) },
    {
      desc: 'a hash in base64url',
      path: ['leaves', last, 'proof', 0],
      value: Buffer.alloc(32, 255).toString('base64url'),
    },
    ...[
      'service-key.registered',
      'rule.registered',
      'agent.registered',
      'approver.registered',
      'enforcement-point.registered',
      'request.received',
      'request.approved',
      'grant.created',
      'credential.intended',
    ].map((type) => ({ desc: `no ${type}`, path: ['leaves', at(type)] })),
    { desc: 'a text that no entry committed to', path: ['values'], value: [{ salt: 'A'.repeat(22), text: 'x' }] },
  ]
  mkdirSync(folder, { recursive: true })
  const keys = { vkey: trust.log.vkey, root: trust.root.jwk.x }
  for (const [name, content] of Object.entries({ keys, good: bundle, changes }))
    writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(content, undefined, name === 'good' ? 0 : 2)}\n`)
})

/** 32 bytes leave two bits of the last character unread. */
function respelt(hash: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
  return `${hash.slice(0, -2)}${alphabet[alphabet.indexOf(hash.at(-2) ?? '') + 1]}=`
}
