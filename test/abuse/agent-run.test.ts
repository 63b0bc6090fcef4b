import { execFileSync } from 'node:child_process'
import { request } from 'node:http'
import { exportPrivateKey } from '@bailiwick/credentials'
import { sampleKey } from '@bailiwick/standalone/sample'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type ApiWorld, openApiWorld, upstreamSecret } from '../e2e/api-world.ts'
import { patiently } from '../e2e/gateway-world.ts'
import { canContain, isAlive, RunPlace, shellSecrets } from './agent-run.ts'

/* A program under `agent run` that wants to keep what it may use for a task: the key, the address, or its own life. */

let api: ApiWorld
let grantId: string
let requestId: string
let place: RunPlace
beforeAll(async () => {
  api = await openApiWorld()
})
afterAll(() => api?.[Symbol.asyncDispose]())
beforeEach(async () => {
  ;({ grantId, requestId } = await api.world.granted({
    ...api.authority,
    permissions: [
      ...(api.authority as { permissions: object[] }).permissions,
      { actions: ['tools/call'], resource: { type: 'tool', id: 'billing/read' } },
    ],
  }))
  place = new RunPlace(api.world)
})
afterEach(() => place[Symbol.dispose]())

/** What is secret of the agent's key. */
function privatePart(): string {
  const { d } = exportPrivateKey(sampleKey(api.world.system.data, 'reconciler')) as { d?: string }
  if (d === undefined) throw new Error('the key has no private part')
  return d
}

const options = () => ['--grant', grantId, '--mcp', 'billing', '--http', 'erp', '--http', 'plain']

/** Looks everywhere for something that works elsewhere, and prints what it found. */
const thief = `
import { readFileSync, readdirSync, readlinkSync } from 'node:fs'
const [key, parent] = process.argv.slice(2)
const read = (path) => { try { return readFileSync(path, 'latin1') } catch (error) { return 'no: ' + error.code } }
const processes = readdirSync('/proc').filter((name) => /^\\d+$/.test(name))
const seen = {
  env: process.env,
  key: read(key),
  parent: read('/proc/' + process.ppid + '/environ') + read('/proc/1/environ'),
  environs: processes.map((pid) => read('/proc/' + pid + '/environ')).join(' '),
  cmdlines: processes.map((pid) => read('/proc/' + pid + '/cmdline')).join(' '),
  memory: read('/proc/1/mem'),
  files: readdirSync('/proc/self/fd').map((fd) => { try { return readlinkSync('/proc/self/fd/' + fd) } catch { return '' } }).join(' '),
  others: processes.length,
}
console.log(JSON.stringify(seen))
`

describe.skipIf(!canContain)('a contained program', () => {
  it('finds no key, no credential and no secret of the shell that started it (V11, V17)', async () => {
    const { said, ended } = place.run([...options(), '--contain', 'required'], thief, place.key)
    expect(await ended, said.err).toBe(0)
    const seen = JSON.parse(said.out)
    expect(seen.key).toBe('no: ENOENT')
    const whole = JSON.stringify(seen)
    for (const secret of [...Object.values(shellSecrets), upstreamSecret, privatePart()])
      expect(whole.includes(secret)).toBe(false)
    expect(whole).not.toMatch(/DPoP |eyJ[\w-]{20}|"d":|PRIVATE KEY/)
    // No file of the command was left open for it.
    expect(seen.files).not.toMatch(/sample|trust|\.json/)
    // Its own namespace: the shell that leads it, and itself.
    expect(seen.others).toBeLessThanOrEqual(3)
    expect(seen.cmdlines).not.toContain('--gateway')
    for (const name of Object.keys(shellSecrets)) expect(said.err).toContain(name)
    expect(said.err).toContain('contained: ')
  })

  it('cannot take away what covers the key, not even as root of a namespace of its own', async () => {
    const uncover =
      `unshare --user --map-root-user --mount sh -c 'umount -l "${api.world.system.data}"; umount "${place.key}"; ` +
      `cat "${place.key}"' 2>&1; nsenter --target 1 --mount cat "${place.key}" 2>&1; echo done`
    const { said, ended } = place.start([...options(), '--contain', 'required'], ['sh', '-c', uncover])
    expect(await ended, said.err).toBe(0)
    expect(said.out).toContain('done')
    expect(said.out).not.toMatch(/"d"|kty/)
  })

  it('dies with all that it started when a human withdraws the task, also what left its group and session', async () => {
    const script =
      `echo $$ > main.pid; (setsid sh -c 'echo $$ > stray.pid; trap "" TERM HUP; while :; do sleep 1; done' ` +
      `</dev/null >/dev/null 2>&1 &) ; sleep 1000`
    const { said, ended } = place.start([...options(), '--contain', 'required'], ['sh', '-c', script])
    await expect.poll(() => place.read('stray.pid')).not.toBe('')
    const strays = () =>
      execFileSync('ps', ['-eo', 'pid=,args='])
        .toString()
        .split('\n')
        .filter((line) => line.includes('stray.pid'))
    expect(strays().length).toBeGreaterThan(0)
    await patiently(() => api.world.approver.withdraw(requestId))
    expect(await ended, said.err).toBe(1)
    expect(said.err).toContain('withdrawn')
    await expect.poll(strays).toEqual([])
  })

  it('cannot stop the command that ends it, not even before a terminal (V7)', async () => {
    const script =
      `stty raw -echo; printf '\\033[?1049h'; (setsid sh -c 'echo $$ > stopper.pid; while :; do sleep 1; done' </dev/null >/dev/null 2>&1 &); ` +
      `while [ ! -s stopper.pid ]; do sleep 0.1; done; kill -STOP 0`
    const { said, ended } = place.start([...options(), '--contain', 'required'], ['sh', '-c', script], {
      terminal: true,
    })
    await expect.poll(() => place.read('stopper.pid')).not.toBe('')
    await patiently(() => api.world.approver.withdraw(requestId))
    expect(await ended, said.out).toBe(1)
    expect(said.out).toContain('withdrawn')
    // The person gets the terminal back as it was.
    expect(said.out.lastIndexOf('\u001b[?1049l')).toBeGreaterThan(said.out.indexOf('\u001b[?1049h'))
    const strays = () => execFileSync('ps', ['-eo', 'args=']).toString().includes('echo $$ > stopper.pid')
    await expect.poll(strays).toBe(false)
  })

  it('handles a signal to stop, and ends with its own exit code', async () => {
    const script = `trap 'exit 9' TERM; echo up > up; while :; do sleep 0.1; done`
    const { child, said, ended } = place.start([...options(), '--contain', 'required'], ['sh', '-c', script])
    await expect.poll(() => place.read('up')).not.toBe('')
    child.kill('SIGTERM')
    expect(await ended, said.err).toBe(9)
  })

  it('dies when the command itself is killed', async () => {
    const script = 'echo up > up; exec sleep 1000.25'
    const { child, ended } = place.start([...options(), '--contain', 'required'], ['sh', '-c', script])
    const sleepers = () =>
      execFileSync('ps', ['-eo', 'args='])
        .toString()
        .split('\n')
        .filter((line) => line === 'sleep 1000.25')
    await expect.poll(() => place.read('up')).not.toBe('')
    await expect.poll(sleepers).toHaveLength(1)
    child.kill('SIGKILL')
    await ended
    await expect.poll(sleepers).toEqual([])
  })
})

describe('where nothing contains a program', () => {
  it('says which files it can read, and it can', async () => {
    const { said, ended } = place.run([...options(), '--contain', 'never'], thief, place.key)
    expect(await ended, said.err).toBe(0)
    expect(said.out).toContain(privatePart())
    expect(said.err).toContain('NOT contained')
    expect(said.err).toContain(`can read ${place.key}`)
    // Its own environment is clean all the same.
    const { env } = JSON.parse(said.out)
    expect(Object.keys(env).filter((name) => name in shellSecrets)).toEqual([])
  })

  it('says so, and ends its process group', async () => {
    const { said, ended } = place.start(
      [...options(), '--contain', 'never'],
      ['sh', '-c', 'echo $$ > main.pid; sleep 1000 & sleep 1001'],
    )
    await expect.poll(() => place.read('main.pid')).not.toBe('')
    expect(said.err).toContain('NOT contained')
    expect(said.err).toContain(place.key)
    const pid = Number(place.read('main.pid'))
    expect(isAlive(pid)).toBe(true)
    await patiently(() => api.world.approver.withdraw(requestId))
    expect(await ended).toBe(1)
    await expect.poll(() => isAlive(pid)).toBe(false)
  })
})

/** Prints its addresses, then waits. */
const shower = `
const names = Object.entries(process.env).filter(([name]) => name.startsWith('BAILIWICK_'))
console.log(JSON.stringify(Object.fromEntries(names)))
setInterval(() => {}, 1000)
`

interface Sending {
  method?: string
  headers?: Record<string, string>
  body?: string
}

const send = (url: string, { method = 'GET', headers = {}, body }: Sending = {}) =>
  new Promise<{ status: number; text: string }>((resolve, reject) => {
    const sent = request(url, { method, headers }, async (response) => {
      let text = ''
      for await (const chunk of response) text += chunk
      resolve({ status: response.statusCode ?? 0, text })
    })
    sent.on('error', reject)
    sent.end(body)
  })

describe('the addresses of a program', () => {
  it('work for who has them, for nothing beyond the task, and no longer than it (V10)', async () => {
    const { said, ended } = place.run(options(), shower)
    await expect.poll(() => said.out).toContain('BAILIWICK_HTTP_ERP')
    const { BAILIWICK_HTTP_ERP: erp = '', BAILIWICK_MCP_BILLING: mcp = '', ...others } = JSON.parse(said.out)
    expect(Object.keys(others)).toEqual(['BAILIWICK_HTTP_PLAIN'])
    const read = () => send(`${erp}/invoices/4711`)
    await expect.poll(async () => (await read()).status).toBe(200)
    expect((await send(`${erp}/invoices`, { method: 'DELETE' })).status).toBeGreaterThanOrEqual(400)
    const pay = { method: 'POST', headers: { 'content-type': 'application/json' } }
    const much = await send(`${erp}/invoices`, { ...pay, body: '{"amount":"501","currency":"EUR"}' })
    expect([much.status, JSON.parse(much.text).code]).toEqual([403, 'argument_out_of_bounds'])
    const { origin } = new URL(erp)
    for (const [url, headers] of [
      [`${origin}/http/erp/invoices/4711`, {}],
      [`${erp.replace(/\/[^/]+\/http/, `/${'A'.repeat(32)}/http`)}/invoices/4711`, {}],
      [`${erp}/invoices/4711`, { origin: 'https://evil.example' }],
      [`${erp}/invoices/4711`, { host: 'evil.example' }],
    ] as const)
      expect((await send(url, { headers })).status).toBeGreaterThanOrEqual(403)
    await patiently(() => api.world.approver.withdraw(requestId))
    expect(await ended).toBe(1)
    await expect(read()).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await expect(send(mcp)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })
})

describe('a task of its own', () => {
  const ask = (permissions: object[]) =>
    place.write(
      'task.json',
      JSON.stringify({ type: 'bailiwick_task', task: 'read-an-invoice', permissions, budget: { calls: 20 } }),
    )
  const permissions = [{ actions: ['tools/call'], resource: { type: 'tool', id: 'erp/read_invoice' } }]
  const asked = async (said: { err: string }) => {
    await expect.poll(() => said.err).toMatch(/console\/requests\/req_/)
    return /req_[\w-]+/.exec(said.err)?.[0] ?? ''
  }
  const call = `
const answer = await fetch(process.env.BAILIWICK_HTTP_ERP + '/invoices/4711')
console.log(answer.status)
process.exitCode = 7
`

  it('waits for a human, works, and is given back when the program ends, with its exit code', async () => {
    const { said, ended } = place.run(['--task', ask(permissions), '--http', 'erp'], call)
    const id = await asked(said)
    expect(said.out).toBe('')
    const { grant_id: own = '' } = await patiently(() => api.world.approver.approve(id))
    expect(await ended, said.err).toBe(7)
    expect(said.out.trim()).toBe('200')
    expect(await api.world.agent().grantState({ grantId: own })).toBe('ended')
  })

  it('starts nothing when the human says no, and withdraws its request when it is stopped', async () => {
    const first = place.run(['--task', ask(permissions), '--http', 'erp', '--expires', '3599'], call)
    await patiently(async () => api.world.approver.deny(await asked(first.said)))
    expect([await first.ended, first.said.out]).toEqual([1, ''])
    const second = place.run(['--task', ask(permissions), '--http', 'erp', '--expires', '3598'], call)
    const id = await asked(second.said)
    second.child.kill('SIGTERM')
    expect([await second.ended, second.said.out]).toEqual([1, ''])
    expect((await api.world.agent().status(id)).status).toBe('cancelled')
  })

  it('is not used at all once it has ended', async () => {
    await patiently(() => api.world.approver.withdraw(requestId))
    await expect.poll(() => api.world.agent().grantState({ grantId })).toBe('ended')
    const { said, ended } = place.run(options(), call)
    expect([await ended, said.out]).toEqual([2, ''])
    expect(said.err).toContain('grant_not_active')
  })
})
