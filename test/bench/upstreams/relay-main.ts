import { Agent, createServer, request } from 'node:http'

/* A bare relay in Node.js: it sends each request on, and its answer back, and decides nothing. In place of nginx, where there is none. */

const agent = new Agent({ keepAlive: true, maxSockets: 256 })
const { hostname, port } = new URL(process.env.UPSTREAM ?? '')

const server = createServer((incoming, response) => {
  if (incoming.url === '/readyz') return void response.end()
  const { method, url: path, headers } = incoming
  const sent = request({ ...{ agent, hostname, port, path, headers }, ...(method === undefined ? {} : { method }) })
  sent.once('error', () => response.destroy())
  sent.once('response', (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
    answer.pipe(response)
  })
  incoming.pipe(sent)
})
server.keepAliveTimeout = 60_000
server.listen(Number(process.env.BAILIWICK_PORT), '127.0.0.1', 4096)
