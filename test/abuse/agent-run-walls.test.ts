import { execFile, spawn } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { setTimeout as after } from 'node:timers/promises'
import { promisify } from 'node:util'
import { endWithThis } from '@bailiwick/native'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type ApiWorld, openApiWorld } from '../e2e/api-world.ts'
import { canContain, RunPlace } from './agent-run.ts'

/* What stands between a program under `agent run` and the rest of the machine, and who tries to get through it from either side. */

let api: ApiWorld
let place: RunPlace
let grantId: string
beforeAll(async () => {
  api = await openApiWorld()
})
afterAll(() => api?.[Symbol.asyncDispose]())
beforeEach(async () => {
  place = new RunPlace(api.world)
  chmodSync(place.folder, 0o755)
  ;({ grantId } = await api.world.granted(api.authority))
})
afterEach(() => place[Symbol.dispose]())

const isRoot = process.getuid?.() === 0
const start = (options: readonly string[], script: string) =>
  place.start(['--grant', grantId, '--http', 'erp=https://erp.acme.example', ...options], ['sh', '-c', script])
const asUser = (user: string, ...command: string[]) => {
  const before = ['--reuid', user, '--regid', user, '--clear-groups', '--']
  return promisify(execFile)('setpriv', [...before, ...command]).then(
    ({ stdout, stderr }) => stdout + stderr,
    (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
  )
}

describe.skipIf(!isRoot)('a program of another user that knows the secret of an address', () => {
  /** The address of the API, with its port. */
  async function running() {
    const started = start(['--contain', 'never'], 'echo "$BAILIWICK_HTTP_ERP $HTTPS_PROXY"; exec sleep 1000')
    await expect.poll(() => started.said.out).toMatch(/\n/)
    const [erp = '', proxy = ''] = started.said.out.trim().split(' ')
    return { ...started, erp: new URL(erp), proxy: new URL(proxy) }
  }

  it('is not taken for the run’s user who has the same port at another address of this machine (V11)', async () => {
    const { child, ended, erp } = await running()
    const own = connect(Number(erp.port), '127.0.0.1')
    await expect.poll(() => own.localPort).toBeGreaterThan(0)
    const before = api.api.arrived.length
    const ways = ['--interface', '127.0.0.2', '--local-port', String(own.localPort)]
    const said = await asUser('65534', 'curl', '-sS', '-m', '20', ...ways, `${erp.href}/invoices/4711`)
    expect(said).not.toContain('"id":"4711"')
    expect(api.api.arrived).toHaveLength(before)
    own.destroy()
    child.kill('SIGTERM')
    await ended
  })

  it('is not taken for root once it closed its end (V11)', async () => {
    const { child, ended, erp } = await running()
    const before = api.api.arrived.length
    const script = `
      const { connect } = require('node:net')
      const each = (n) => {
        const socket = connect(${erp.port}, '127.0.0.1', () => {
          socket.write('POST ${erp.pathname}/invoices HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\nContent-Type: application/json\\r\\nContent-Length: 35\\r\\n\\r\\n{"amount":"1.00","currency":"EUR" }')
          socket.destroy()
          if (n > 0) setTimeout(each, 20, n - 1)
        })
      }
      each(30)`
    await asUser('65534', process.execPath, '-e', script)
    await after(3000)
    expect(api.api.arrived).toHaveLength(before)
    child.kill('SIGTERM')
    await ended
  })

  it('holds no place with a connection that says nothing (V11)', async () => {
    const { child, ended, erp, proxy } = await running()
    const script = (port: string) => `
      const socket = require('node:net').connect(${port}, '127.0.0.1')
      socket.on('close', () => console.log('closed')).on('error', () => undefined).resume()
      setTimeout(() => process.exit(), 5000).unref()`
    for (const { port } of [erp, proxy])
      expect(await asUser('65534', process.execPath, '-e', script(port))).toContain('closed')
    child.kill('SIGTERM')
    await ended
  })
})

describe.skipIf(!isRoot || !canContain)('a user of its own', () => {
  it('moves no folder that root works in (V11)', async () => {
    mkdirSync(place.at('victim'))
    const steal = `
      while :; do
        for folder in /tmp/bailiwick-net-*; do
          [ "$folder" = '/tmp/bailiwick-net-*' ] || [ -L "$folder" ] || { mv "$folder" "$folder-moved" && ln -s "${place.at('victim')}" "$folder"; }
        done
        sleep 0.05
      done`
    const before = ['--reuid', '1', '--regid', '1', '--clear-groups', '--']
    const thief = spawn('setpriv', [...before, 'sh', '-c', steal], { stdio: 'ignore', cwd: '/', detached: true })
    endWithThis(thief)
    const made = new Set<string>()
    const looking = setInterval(() => {
      for (const name of readdirSync(place.at('victim'))) made.add(name)
    }, 20)
    try {
      const { said, ended } = start(
        ['--user', 'daemon', '--contain', 'required', '--network', 'none'],
        'cd /tmp; curl -sS "$BAILIWICK_HTTP_ERP/invoices/4711"; exit 0',
      )
      expect(await ended, said.err).toBe(0)
      expect(said.out).toContain('4711')
      expect([...made]).toEqual([])
    } finally {
      clearInterval(looking)
      process.kill(-(thief.pid ?? 0), 'SIGKILL')
    }
  })

  it('sees none of its own credentials either (V11)', async () => {
    const home = '/usr/sbin' // of daemon
    const file = `${home}/.netrc`
    expect(existsSync(file)).toBe(false)
    writeFileSync(file, 'canary-daemon')
    chownSync(file, 1, 1)
    try {
      const { said, ended } = start(
        ['--user', 'daemon', '--contain', 'required'],
        'cat ~/.netrc; cat /usr/sbin/.netrc; echo done',
      )
      expect(await ended, said.err).toBe(0)
      expect(said.out).toContain('done')
      expect(said.out).not.toContain('canary')
      expect(said.err).toContain(file)
    } finally {
      await promisify(execFile)('rm', [file])
    }
  })
})

describe.skipIf(!canContain)('a program without a network', () => {
  it('does not reach out by the socket of another program, unless a person shows it (V11)', async () => {
    const path = place.at('nscd.sock')
    const reached: string[] = []
    // It looks names up for others, as nscd and systemd-resolved do.
    const resolver = createServer((socket) =>
      socket.on('data', (chunk) => socket.end(`answer ${reached.push(String(chunk))}`)),
    )
    resolver.listen(path, () => chmodSync(path, 0o777))
    const ask = `
      const socket = require('node:net').connect(process.argv[1], () => socket.write('evil.example'))
      socket.on('data', (chunk) => console.log(String(chunk))).on('error', (error) => console.log(error.code))`
    const script = `${process.execPath} -e "$(cat ask.js)" ${path}; curl -sS "$BAILIWICK_HTTP_ERP/invoices/4711"`
    place.write('ask.js', ask)
    const closed = start(['--network', 'none'], script)
    expect(await closed.ended, closed.said.err).toBe(0)
    expect(closed.said.out).not.toContain('answer')
    expect(closed.said.out).toContain('"id":"4711"')
    expect(reached).toEqual([])
    const shown = start(['--network', 'none', '--show', path], script)
    expect(await shown.ended, shown.said.err).toBe(0)
    expect(shown.said.out).toContain('answer 1')
    resolver.close()
  })
})

describe('a program that ends its task twice', () => {
  const script = `
    const url = process.env.BAILIWICK_MCP_BILLING
    const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
    for (let id = 1; id < 4; id++) {
      const params = { name: 'bailiwick_complete_task', arguments: {} }
      const body = JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params })
      const answer = await fetch(url, { method: 'POST', headers, body })
      console.log((await answer.text()).replaceAll('\\n', ' '))
      await new Promise((resolve) => setTimeout(resolve, 1500))
    }
    process.exitCode = 7`

  it('hears that it was ended before, and goes on to its own end', async () => {
    const { said, ended } = place.run(['--grant', grantId, '--mcp', 'billing'], script)
    expect(await ended, said.err).toBe(7)
    const [first, ...others] = said.out.trim().split('\n')
    expect(first).toContain('The task is ended')
    for (const other of others) expect(other).toContain('ended before')
    expect(said.err).toContain('the program ended its task, and goes on without it')
    expect(said.err).not.toMatch(/\bat .*:\d+:\d+|Error:/)
  })
})
