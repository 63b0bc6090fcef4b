import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { cli } from '../judges/installation.ts'
import { runScript } from '../judges/programs.ts'
import { noBrowser } from './browser.ts'

/* A login is recorded while Chromium watches: what a script adds to a login, and what the gateway could not do by itself. */

const password = 'canary-of-a-recording-0123456789'
const html = { 'content-type': 'text/html' }
const form = (script: string) =>
  `<form method=post action=/in><input name=user><input type=password name=password><button>Go</button></form><script>${script}</script>`

/** An application whose login page has this script. The answer to a login is a page that goes on by a script. */
async function application(script: string, page = form(script)) {
  const sessions = new Set<string>()
  const posted: string[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const { method, url } = request
    const [, sid = ''] = /sid=(\w+)/.exec(request.headers.cookie ?? '') ?? []
    if (method === 'POST') posted.push(`${url} ${body}`)
    if (url === '/login') return void response.writeHead(200, html).end(page)
    if (url === '/in') {
      if (new URLSearchParams(body).get('password') !== password)
        return void response.writeHead(302, { location: '/login' }).end()
      const made = `s${sessions.size}x${Date.now()}`
      sessions.add(made)
      return void response
        .writeHead(200, { ...html, 'set-cookie': `sid=${made}` })
        .end('<script>location = "/desk"</script>')
    }
    if (!sessions.has(sid)) return void response.writeHead(302, { location: '/login' }).end()
    if (url === '/out') {
      sessions.delete(sid)
      return void response.writeHead(302, { location: '/login' }).end()
    }
    response.writeHead(url === '/desk' ? 200 : 404, html).end('<a href=/out>Sign out</a>')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  stops.push(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/login`, sessions, posted }
}

const stops: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
})
const record = async (url: string) => {
  const words = ['gateway', 'record-login', url, '--user', 'svc', '--password', 'env:ACCOUNT_PASSWORD']
  const ended = await runScript(cli, words, { env: { ACCOUNT_PASSWORD: password } })
  expect(ended.out + ended.err).not.toContain(password)
  return ended
}

describe.skipIf(noBrowser)('a login that a browser watches', () => {
  it('has the page to which a script leads, and a note about what a script adds; no session is left', async () => {
    const app = await application(
      "document.forms[0].addEventListener('formdata', ({ formData }) => formData.append('screen', '1x1'))",
    )
    const { code, out, err } = await record(app.url)
    expect(code, err).toBe(0)
    expect(out).toMatch(/cookie: sid\n +page: \/desk\n +shows: Sign out\n +logout: GET \/out/)
    expect(err).toContain('A browser also sends screen, which a script adds')
    expect(app.posted.filter((each) => each.includes('screen=1x1'))).toHaveLength(1)
    expect(app.sessions.size).toBe(0)
  })

  it('is no recipe if a script sends it, and the gateway does not use the account', async () => {
    const app = await application(
      `document.forms[0].addEventListener('submit', (event) => {
         event.preventDefault()
         fetch('/api', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' })
       })`,
    )
    const { code, out, err } = await record(app.url)
    expect([code, out]).toEqual([2, ''])
    expect(err).toContain('a script logs in by itself')
    expect(app.posted).toEqual(['/api {}'])
  })

  it('types the password into no form that a script sends to another origin (V17)', async () => {
    const thief = await application('')
    const app = await application(`document.forms[0].action = ${JSON.stringify(thief.url.replace('/login', '/in'))}`)
    const { code, out, err } = await record(app.url)
    expect([code, out]).toEqual([2, ''])
    expect(err).toContain('another origin')
    expect([...app.posted, ...thief.posted]).toEqual([])
  })

  it('presses no button that sends the form to another origin (V17)', async () => {
    const thief = await application('')
    const to = thief.url.replace('/login', '/in')
    const app = await application('', form('').replace('<button>', `<button formaction="${to}">`))
    const { code, out, err } = await record(app.url)
    expect([code, out]).toEqual([2, ''])
    expect(err).toContain('another origin')
    expect([...app.posted, ...thief.posted]).toEqual([])
  })
})
