import { execFile } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { connect } from 'node:net'
import { promisify } from 'node:util'
import { exportPrivateKey } from '@bailiwick/credentials'
import { sampleKey } from '@bailiwick/standalone/sample'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type ApiWorld, openApiWorld, upstreamSecret } from '../e2e/api-world.ts'
import { patiently } from '../e2e/gateway-world.ts'
import { canContain, RunPlace, shellSecrets } from './agent-run.ts'

/* A program under `agent run` that reaches APIs by the addresses that it knows, and what it and others do with the proxy for that. */

let api: ApiWorld
let place: RunPlace
beforeAll(async () => {
  api = await openApiWorld()
})
afterAll(() => api?.[Symbol.asyncDispose]())
beforeEach(() => {
  place = new RunPlace(api.world)
  chmodSync(place.folder, 0o755)
})
afterEach(() => place[Symbol.dispose]())

const isRoot = process.getuid?.() === 0
const reach = ['--http', 'erp=https://erp.acme.example', '--http', 'plain=http://acme.example/plain']
const run = (grants: readonly { grantId: string }[], more: readonly string[], script: string) =>
  place.start([...grants.flatMap(({ grantId }) => ['--grant', grantId]), ...reach, ...more], ['sh', '-c', script])
const permissionsOf = () =>
  (api.authority as { permissions: { resource: { type: string; id?: string } }[] }).permissions
/** A grant for these permissions of the sample authority alone. */
const grantedFor = (task: string, keep: (resource: { type: string; id?: string }) => boolean) =>
  api.world.granted({ ...api.authority, task, permissions: permissionsOf().filter(({ resource }) => keep(resource)) })
/** Asks again while a busy machine keeps a call from being decided. */
const patientCurl = (address: string, more = '') => `
for n in 1 2 3 4 5 6 7 8 9; do
  curl -sS ${more} -o answer -w '%{http_code}\\n' ${address} > status 2>> problems
  case $(cat status) in 5*|429|409) sleep 1 ;; *) break ;; esac
done
cat status answer; echo
`

it('curl reaches an API by its own address, as calls that are decided, and finds nothing else and no secret (V11, V17)', async () => {
  const granted = await api.world.granted(api.authority)
  const before = api.api.arrived.length
  const script = `
    ${patientCurl('https://erp.acme.example/invoices/4711')}
    ${patientCurl('http://acme.example/plain/open/a')}
    ${patientCurl('https://erp.acme.example/invoices', '-X DELETE')}
    curl -sS https://evil.example/; curl -sS http://169.254.169.254/latest; curl -sS https://acme.example/plain/open/a
    echo; echo looted; env; cat "$(dirname "$SSL_CERT_FILE")"/* /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null
    exit 0`
  const { said, ended } = run([granted], [], script)
  expect(await ended, said.err).toBe(0)
  const [shownText = '', looted = ''] = said.out.split('looted\n')
  const [first, one, second, two, third, three, four] = shownText.trim().split('\n')
  const shown = expect.stringContaining('"id":"4711"')
  expect([first, one, second, two], said.out).toEqual(['200', shown, '200', shown])
  expect([third, JSON.parse(three ?? '')], said.out).toEqual([
    '404',
    expect.objectContaining({ code: 'operation_unmapped' }),
  ])
  expect(JSON.parse(four ?? '')).toMatchObject({ status: 403, code: 'host_not_served' })
  for (const origin of ['https://evil.example', 'http://169.254.169.254', 'https://acme.example'])
    expect(said.err).toContain(`refused ${origin}: no entry of this run stands for it`)
  const arrived = api.api.arrived.slice(before)
  expect(arrived.map(({ target }) => target)).toEqual(['/erp/invoices/4711', '/plain/open/a'])
  expect(arrived.map(({ text }) => text).join()).not.toMatch(/proxy-auth|acme\.example/i)

  expect(looted).toContain('BEGIN CERTIFICATE')
  expect(looted).not.toMatch(/PRIVATE KEY|DPoP |eyJ[\w-]{20}/)
  for (const secret of [...Object.values(shellSecrets), upstreamSecret]) expect(looted.includes(secret)).toBe(false)
  // The secret of the proxy stands in no line that others read.
  const [, password = '-'] = /HTTPS_PROXY=http:\/\/bailiwick:([^@]+)@/.exec(looted) ?? []
  expect(said.err).not.toContain(password)
})

/** What curl of a user says. */
async function curlAs(user: string, args: readonly string[]): Promise<string> {
  const before = ['--reuid', user, '--regid', user, '--clear-groups', '--']
  const said = await promisify(execFile)('setpriv', [...before, 'curl', '-sS', '-m', '20', ...args]).catch(
    (error: { stderr: string; stdout: string }) => error,
  )
  return `${said.stdout} ${said.stderr}`
}

it('no other user uses the proxy or an address, also with the secret, and both die with the task, also for a program that outlives it (V7, V10)', async () => {
  const granted = await api.world.granted(api.authority)
  const { said, ended } = run(
    [granted],
    ['--contain', 'never'],
    'echo "$HTTPS_PROXY $SSL_CERT_FILE $BAILIWICK_HTTP_ERP"; exec sleep 1000',
  )
  await expect.poll(() => said.out).toMatch(/\n/)
  const [proxy = '', certificate = '', erp = ''] = said.out.trim().split(' ')
  if (isRoot) {
    const ways = [
      ['-x', proxy, '--cacert', certificate, 'https://erp.acme.example/invoices/4711'],
      ['-x', proxy, 'http://acme.example/plain/open/a'],
      [`${erp}/invoices/4711`],
    ]
    const before = api.api.arrived.length
    for (const way of ways) expect(await curlAs('65534', way)).not.toContain('"id":"4711"')
    expect(api.api.arrived).toHaveLength(before)
    for (const way of ways) await expect.poll(() => curlAs('0', way)).toContain('"id":"4711"')
  }
  const { port, username, password } = new URL(proxy)
  // A tunnel that is open when the task ends.
  const tunnel = connect(Number(port), '127.0.0.1')
  let text = ''
  tunnel.on('data', (chunk) => (text += chunk)).on('error', () => undefined)
  const secret = Buffer.from(`${username}:${password}`).toString('base64')
  tunnel.write(`CONNECT erp.acme.example:443 HTTP/1.1\r\nProxy-Authorization: Basic ${secret}\r\n\r\n`)
  await expect.poll(() => text).toContain('200 Connection')
  const closed = new Promise((resolve) => tunnel.once('close', resolve))
  await patiently(() => api.world.approver.withdraw(granted.requestId))
  expect(await ended, said.err).toBe(1)
  await closed
  const again = connect(Number(port), '127.0.0.1')
  expect(await new Promise((resolve) => again.once('error', resolve))).toMatchObject({ code: 'ECONNREFUSED' })
})

describe('several grants', () => {
  it('are used each for what it covers, and a withdrawal of one ends the run (V7)', async () => {
    const erp = await grantedFor('read-invoices', ({ id }) => id === 'erp/read_invoice')
    const more = await grantedFor('pay-invoices', ({ id }) => id === 'erp/pay_invoice')
    const plain = await grantedFor('look-at-plain', ({ type }) => type === 'api')
    const script = [
      patientCurl('https://erp.acme.example/invoices/4711'),
      patientCurl('https://erp.acme.example/invoices/4711/payments', '-d amount=1'),
      patientCurl('http://acme.example/plain/open/a'),
      'touch done; exec sleep 1000',
    ].join('\n')
    const { said, ended } = run([erp, more, plain], [], script)
    await expect.poll(() => said.out.match(/^200$/gm)?.length ?? 0, { timeout: 150_000 }).toBe(3)
    await patiently(() => api.world.approver.withdraw(plain.requestId))
    expect(await ended, said.err).toBe(1)
    expect(said.err).toContain(`the task of ${plain.grantId} was withdrawn, so the command ended the program`)
  })
})

describe.skipIf(!canContain)('a program without a network', () => {
  it('reaches its entries, and no port of this machine and no other address, past the proxy neither', async () => {
    const granted = await api.world.granted(api.authority)
    const before = api.api.arrived.length
    const past = 'curl -sS -m 5 --noproxy "*" -o /dev/null'
    const script = `
      ${patientCurl('https://erp.acme.example/invoices/4711')}
      ${patientCurl('"$BAILIWICK_HTTP_ERP/invoices/4711"')}
      ${past} ${api.api.url}/erp/invoices/4711; echo $?
      ${past} ${api.world.url}/health/ready; echo $?
      ${past} http://169.254.169.254/latest; echo $?
      unshare --user --map-root-user sh -c 'ip link add d type dummy; ip link set d up; nsenter --target 1 --net true; ${past} ${api.api.url}/erp/x'; echo $?
      trap 'exit 9' TERM; echo up > up; while :; do sleep 0.1; done`
    const { child, said, ended } = run([granted], ['--network', 'none'], script)
    await expect.poll(() => place.read('up'), { timeout: 150_000 }).not.toBe('')
    child.kill('SIGTERM')
    expect(await ended, said.err).toBe(9)
    const [one, shown, other, again, ...codes] = said.out.trim().split('\n')
    expect([one, JSON.parse(shown ?? '').id, other, JSON.parse(again ?? '').id], said.out).toEqual([
      '200',
      '4711',
      '200',
      '4711',
    ])
    // curl could not connect.
    expect(
      codes.map((each) => ['7', '28'].includes(each)),
      said.out,
    ).toEqual([true, true, true, true])
    expect(api.api.arrived.slice(before).map(({ target }) => target)).toEqual(Array(2).fill('/erp/invoices/4711'))
    expect(said.err).toContain('it has no network but the addresses of this run')
  })
})

describe.skipIf(!isRoot)('a user of its own', () => {
  const privatePart = () => {
    const { d } = exportPrivateKey(sampleKey(api.world.system.data, 'reconciler')) as { d?: string }
    return d ?? ''
  }

  it.each([
    ['never', 'host'],
    ['required', 'none'],
  ])(
    'reads no key, no memory and no file of the command, and works (--contain %s --network %s) (V11)',
    async (contain, network) => {
      const granted = await api.world.granted(api.authority)
      const script = `
        cd /tmp; id -u; echo "$HOME"
        cat "${place.key}" 2>&1; cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -i -e canary -e PASSKEY
        cat /proc/$PPID/mem 2>&1; kill -0 $PPID 2>&1
        curl -sS "$BAILIWICK_HTTP_ERP/invoices/4711" -o /dev/null -w '%{http_code}\\n'
        curl -sS https://erp.acme.example/invoices/4711`
      const { said, ended } = run([granted], ['--user', 'daemon', '--contain', contain, '--network', network], script)
      expect(await ended, said.err).toBe(0)
      expect(said.out).toMatch(/^1\n\/usr\/sbin\n/)
      expect(said.out).toContain('"id":"4711"')
      expect(said.out).not.toMatch(/canary|PASSKEY/i)
      expect(said.out.includes(privatePart())).toBe(false)
      expect(said.err).toContain('own user: the program runs as daemon')
      expect(said.err.includes('NOT contained')).toBe(contain === 'never')
    },
  )
})
