import { parseArgs } from 'node:util'

// `curl` for the pages that are replayed: -i, -s, -X, -H, -d and one address.

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    include: { type: 'boolean', short: 'i' },
    silent: { type: 'boolean', short: 's' },
    request: { type: 'string', short: 'X' },
    header: { type: 'string', short: 'H', multiple: true },
    data: { type: 'string', short: 'd' },
  },
})
const [address = ''] = positionals
const headers = (values.header ?? []).map((line): [string, string] => {
  const colon = line.indexOf(':')
  return [line.slice(0, colon), line.slice(colon + 1).trim()]
})
const answer = await fetch(/^https?:/.test(address) ? address : `http://${address}`, {
  method: values.request ?? (values.data === undefined ? 'GET' : 'POST'),
  headers,
  ...(values.data === undefined ? {} : { body: values.data }),
})
if (values.include)
  process.stdout.write(
    `HTTP/1.1 ${answer.status} ${answer.statusText}\n${[...answer.headers].map((field) => field.join(': ')).join('\n')}\n\n`,
  )
process.stdout.write(await answer.text())
