import { Agent, request } from 'node:http'

/** How often strangers got an answer, and how often 429. */
export interface StrangersTold {
  answered: number
  refused: number
}

// A process of its own. It opens the given number of connections; each sends its next request as soon as it has an
// answer, without a credential or with a made-up one.
const [url = '', connections = '64'] = process.argv.slice(2)
const told: StrangersTold = { answered: 0, refused: 0 }
const agent = new Agent({ keepAlive: true, maxSockets: Number(connections) })
const asks = [
  { method: 'POST', path: '/access/v1/evaluation', headers: {} },
  { method: 'POST', path: '/access/v1/evaluation', headers: { authorization: 'Bearer eyJhbGciOiJFUzI1NiJ9.e30.AAAA' } },
  { method: 'POST', path: '/oauth/token', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
  { method: 'GET', path: '/console', headers: {} },
]

function ask(n: number): void {
  const { method, path, headers } = asks[n % asks.length] as (typeof asks)[number]
  const next = () => setImmediate(ask, n + 1)
  const sent = request(`${url}${path}`, { method, agent, headers }, (answer) => {
    answer.resume()
    answer.on('end', () => {
      told[answer.statusCode === 429 ? 'refused' : 'answered']++
      next()
    })
  })
  sent.on('error', () => setTimeout(next, 10))
  sent.end(method === 'POST' ? 'grant_type=client_credentials' : undefined)
}

for (let n = 0; n < Number(connections); n++) ask(n)
setInterval(() => process.send?.(told), 20)
process.on('disconnect', () => process.exit())
