import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { seededRandom } from '@bailiwick/kit'
import {
  addSignatures,
  cosign,
  encodeTlogProof,
  encodeVkey,
  inclusionProof,
  parseNote,
  parseTlogProof,
  SignerKey,
} from '@bailiwick/tlog'
import { expect, it } from 'vitest'
import { installation } from '../installation.fixture.ts'
import { bailiwick, type Folder, temporaryFolder } from '../io.fixture.ts'
import { entryOf, logKey, writeLog } from '../log.fixture.ts'
import { operatorAt } from '../operator.fixture.ts'

const vkey = encodeVkey(logKey().verifier)
const witness = new SignerKey('witness.example/w', seededRandom(3)(32), 4)

/** The receipt of entry 300 of 600, as returned by evidence. */
async function receiptOf(folder: Folder, cosigned: boolean) {
  const [, checkpoint = ''] = writeLog(folder.at('log'), [300, 600])
  const text = parseNote(checkpoint)?.text ?? ''
  const note = cosigned ? addSignatures(checkpoint, cosign(text, witness, 1_767_225_600)) : checkpoint
  const proof = await inclusionProof(async (path) => readIfThere(folder.at('log', path)), 300, 600)
  return encodeTlogProof({ index: 300, proof, checkpoint: note })
}

function readIfThere(path: string): Uint8Array | undefined {
  try {
    return readFileSync(path)
  } catch {
    return undefined
  }
}

it('prints a receipt that carries its event, and verifies it offline from the key alone', async () => {
  using folder = temporaryFolder()
  installation(folder)
  const proof = await receiptOf(folder, false)
  await using operator = await operatorAt(folder.path, ({ path }) => ({
    body: path.startsWith('/log/proof/') ? proof : readFileSync(join(folder.at('log'), path.replace('/log/', ''))),
  }))
  const { code, out } = await bailiwick(['receipt', 'evt_of-this', '--data', folder.path])
  expect(code).toBe(0)
  expect(operator.calls.map(({ path }) => path)).toEqual(['/log/proof/evt_of-this', '/log/tile/entries/001'])
  expect(parseTlogProof(`${out}\n`)).toMatchObject({ index: 300 })
  writeFileSync(folder.at('receipt'), `${out}\n`)
  const checked = await bailiwick(['receipt', '--check', folder.at('receipt'), '--vkey', vkey])
  expect(checked.code).toBe(0)
  expect(checked.out).toContain('entry 300 of log.example/cli, under its checkpoint of 600 entries')
  expect(checked.out).toContain(Buffer.from(entryOf(300)).toString())
})

it('says which id it wants when it is given another', async () => {
  using folder = temporaryFolder()
  const { code, err } = await bailiwick(['receipt', 'dec_01M8E8SNWKN5V72BQXYA125PHB', '--data', folder.path])
  expect({ code, err }).toEqual({ code: 2, err: expect.stringMatching(/name an event, evt_….*prove dec_01M8/) })
})

it('finds the event of a receipt whose checkpoint the log has grown far beyond', async () => {
  using folder = temporaryFolder()
  installation(folder)
  const [vouched = ''] = writeLog(folder.at('log'), [300, 600])
  const proof = await inclusionProof(async (path) => readIfThere(folder.at('log', path)), 280, 300)
  const receipt = encodeTlogProof({ index: 280, proof, checkpoint: vouched })
  // It may be deleted once the full bundle exists (C2SP tlog-tiles, Partial Tiles).
  rmSync(folder.at('log/tile/entries/001.p'), { recursive: true })
  await using _operator = await operatorAt(folder.path, ({ path }) => {
    if (path.startsWith('/log/proof/')) return { body: receipt }
    const body = readIfThere(join(folder.at('log'), path.replace('/log/', '')))
    return body === undefined ? { status: 404, body: { code: 'entity_unknown' } } : { body }
  })
  const { code, out } = await bailiwick(['receipt', 'evt_of-this', '--data', folder.path])
  expect(code).toBe(0)
  expect(parseTlogProof(`${out}\n`)?.extra).toEqual(Buffer.from(entryOf(280)))
})

it('refuses a receipt whose event, place, proof, log or witnesses are not as it says', async () => {
  using folder = temporaryFolder()
  const proof = parseTlogProof(await receiptOf(folder, true))
  if (proof === undefined) throw new Error('no proof')
  const check = (text: string | Uint8Array, ...more: string[]) => {
    writeFileSync(folder.at('receipt'), text)
    return bailiwick([
      'receipt',
      '--check',
      folder.at('receipt'),
      '--json',
      ...(more[0] === '--vkey' ? [] : ['--vkey', vkey]),
      ...more,
    ])
  }
  const policy = (key: SignerKey) => {
    writeFileSync(folder.at('policy'), `witness w ${encodeVkey(key.verifier)}\nquorum w\n`)
    return ['--witness', folder.at('policy')]
  }
  const good = encodeTlogProof({ ...proof, extra: entryOf(300) })
  const fine = await check(good, ...policy(witness))
  expect(JSON.parse(fine.out)).toMatchObject({
    ok: true,
    index: 300,
    size: 600,
    witnesses: [{ name: 'witness.example/w' }],
  })
  const refused = async (reason: string, text: string | Uint8Array, ...more: string[]) => {
    const { code, out } = await check(text, ...more)
    expect({ code, ...JSON.parse(out) }).toEqual({ code: 1, ok: false, reason })
  }
  await refused('inclusion_unproved', encodeTlogProof({ ...proof, extra: entryOf(301) }))
  await refused('inclusion_unproved', encodeTlogProof({ ...proof, index: 301, extra: entryOf(300) }))
  await refused('inclusion_unproved', encodeTlogProof({ ...proof, proof: proof.proof.slice(1), extra: entryOf(300) }))
  await refused('signature_missing', good, '--vkey', encodeVkey(logKey('log.example/cli', 2).verifier))
  await refused('quorum_missing', good, ...policy(new SignerKey('witness.example/v', seededRandom(4)(32), 4)))
  await refused('proof_malformed', 'nothing')
  // A note is UTF-8, even where an unknown signer's line is not.
  const stranger = Buffer.concat([Buffer.from(`${good}— `), Uint8Array.of(0xff), Buffer.from(' AAAAAAA=\n')])
  await refused('proof_malformed', stranger)
  expect((await check(`${good}— stranger AAAAAAA=\n`)).code).toBe(0)
  writeFileSync(folder.at('entry'), entryOf(300))
  expect((await check(encodeTlogProof(proof), '--entry', folder.at('entry'))).code).toBe(0)
  // Each is proved on its own, but the receipt carries an event other than the one whose bytes are given.
  await refused('entry_differs', encodeTlogProof({ ...proof, extra: entryOf(301) }), '--entry', folder.at('entry'))
  const bare = await check(encodeTlogProof(proof))
  expect(bare).toMatchObject({ code: 2, err: expect.stringContaining('--entry') })
  expect((await bailiwick(['receipt'])).code).toBe(2)
})
