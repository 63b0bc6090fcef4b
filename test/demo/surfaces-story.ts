import { errorCode } from '@bailiwick/errors'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import { enrolApprover, type RunningSystem } from '@bailiwick/testkit'
import { PostgresServer, type PsqlRun, psql } from '../e2e/postgres-server.ts'
import { startDjango } from '../judges/django-site.ts'
import { approvedChange, narrowedAndApproved, paragraph } from './approved.ts'
import { PlainClient } from './mcp-client.ts'
import { must } from './must.ts'
import { isPassing, patiently, repeating } from './patiently.ts'
import { startRefundsApi } from './refunds-api.ts'
import type { Say } from './story.ts'
import { openCall, openStatement, openStream, overOnce } from './surfaces-open.ts'
import { refundCost, SurfacesPlace } from './surfaces-place.ts'
import { traced } from './traced.ts'

const person = 'Olivia'
const none = 'Nothing matches.\n'
const task = 'close-case-7'
const reason = 'Customer 7 paid one order twice. Refund it, and close the case.'

const on = (id: string, where?: object, more: object = {}) => ({
  ...{ actions: ['tools/call'], resource: { type: 'tool', id } },
  ...(where === undefined ? {} : { where }),
  ...more,
})
const authority = {
  ...{ type: 'bailiwick_task', task },
  permissions: [
    on('notes/write_note', { '/name': { prefix: 'case-7' } }),
    on('notes/tail_notes'),
    on('refunds/refund', { '/amount': { max: '40' }, '/currency': { in: ['EUR'] } }, { cost: refundCost }),
    on('refunds/follow_refunds'),
    on('orders/connect', { '/database': { eq: 'shop' } }),
    on('office/list_cases'),
    on('office/rename_case', { '/case': { in: ['1'] }, '/name': { prefix: 'case-7-' } }),
  ],
  budget: { calls: 100, cost: { EUR: '100' } },
}

interface Answered {
  status: number
  text: string
  headers: Headers
}

/** A grant as the console shows it. */
interface Shown {
  id: string
  taken: { calls: number; cost: { EUR?: string } }
}

/**
 * How one approval governs four surfaces, of which three were never made for agents: a tool of MCP, an HTTP API, a table in PostgreSQL, and a
 * page of an application in which people log in. Each step reports what it saw, one fact a sentence.
 */
export async function tellSurfaces(system: RunningSystem, step: Say): Promise<void> {
  await using opened = new AsyncDisposableStack()
  const api = opened.use(await startRefundsApi())
  const server = opened.use(await PostgresServer.start())
  const django = opened.use(await startDjango(['case-7-open', 'case-8-open']))
  const place = opened.use(await SurfacesPlace.open(system, { api, server, django }))
  const approver = await patiently(() => enrolApprover(system))
  const agent = sampleAgent(system, 'reconciler')
  let requestId = ''
  let grantId = ''

  const fetched = async (url: string, init: Parameters<typeof agent.fetch>[1] = {}): Promise<Response> =>
    agent.fetch(url, init, { grant: { grantId }, patienceMs: 0 })
  /** A request to the API or to the application. A request that a busy machine could not decide had no effect, and is made again. */
  const asked = (url: string, init?: Parameters<typeof agent.fetch>[1]): Promise<Answered> =>
    repeating(
      ({ status, text }) => status >= 400 && isPassing(text),
      () =>
        fetched(url, init).then(
          async (response) => ({ status: response.status, text: await response.text(), headers: response.headers }),
          (error: unknown) => ({ status: 401, text: errorCode(error), headers: new Headers() }),
        ),
    )
  const refund = (amount: string) => {
    const headers = { 'content-type': 'application/json' }
    const body = JSON.stringify({ invoice: 'INV-7', amount, currency: 'EUR' })
    return asked(`${place.address('refunds')}/refunds`, { method: 'POST', headers, body })
  }
  const renameCase = (id: number, name: string) => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const body = new URLSearchParams({ name, _save: 'Save' }).toString()
    return asked(`${place.address('office')}/admin/auth/group/${id}/change/`, { method: 'POST', headers, body })
  }
  const listCases = () => asked(`${place.address('office')}/admin/auth/group/`)
  const noted = (client: PlainClient, text: string) =>
    repeating(isPassing, () => client.call('write_note', { name: 'case-7', text }))
  const queried = (url: string, ...statements: string[]): Promise<PsqlRun> =>
    repeating(
      ({ code, said }) => code !== 0 && isPassing(said),
      () =>
        psql(
          url,
          statements.flatMap((each) => ['-c', each]),
        ),
    )
  const lent = () => server.query('postgres', "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'bailiwick\\_%'")
  const sessions = () => django.sql('select count(*) from django_session')

  await step('Four surfaces that exist are put behind one gateway', async () => {
    await place.drafted()
    await approvedChange(approver, place.bailiwick('registry', 'apply', 'registry.yaml', '--wait'))
    return paragraph(
      'notes is an MCP server. refunds is an HTTP API with a key. orders is a database in PostgreSQL.',
      'office is the admin of Django, an application that only knows people who log in at a form.',
      'The file gateway.yaml names all four. None of them was changed.',
      '$ npx bailiwick gateway pin notes --config gateway.yaml     (and the same for the other three)',
      '$ npx bailiwick registry apply registry.yaml --wait',
      `${person} signed what each of their tools does, with a passkey.`,
    )
  })

  await step('Only the gateway holds their secrets', async () => {
    opened.use(await place.serve())
    const direct = await fetch(`${api.url}/refunds`, { method: 'POST', body: '{}' })
    must(direct.status === 401, `the API answered ${direct.status}`)
    const page = await fetch(`${django.url}/admin/auth/group/`, { redirect: 'manual' })
    must(page.headers.get('location')?.includes('/login/') === true, `the application answered ${page.status}`)
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'read_note' } })
    const json = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
    const strangers = {
      notes: await fetch(place.address('notes'), { method: 'POST', headers: json, body }),
      refunds: await fetch(`${place.address('refunds')}/refunds/changes`),
      office: await fetch(`${place.address('office')}/admin/auth/group/`),
    }
    for (const [name, { status }] of Object.entries(strangers))
      must(status === 401, `${name} answered ${status} to a call without a credential`)
    return paragraph(
      '$ npx bailiwick serve gateway --config gateway.yaml',
      'The gateway has the key of the API, the login of the database, and the password of a service account in the application.',
      'The agent has none of them. Without them, the API answered 401, and the application showed its login page.',
      'A call that came to the gateway without a credential got 401.',
    )
  })

  await step('The agent asks once, and a person approves once', async () => {
    const signed = agent.signRequest({ authority, mode: 'window', expiresInSeconds: 1800, purpose: reason })
    await patiently(() => agent.request(signed))
    ;({ requestId, grantId } = await narrowedAndApproved(approver, { calls: 40, cost: { EUR: '50' } }))
    return paragraph(
      `The agent asked for the task ${task} on all four surfaces: 100 calls and 100 EUR within 30 minutes.`,
      `It gave its reason: "${reason}"`,
      `${person} lowered that to 40 calls and 50 EUR, and signed exactly that with a passkey.`,
      'There is one request, one approval and one grant.',
    )
  })

  const notes = opened.use(await PlainClient.open(place.sidecar(grantId), place.folder))
  await step('Surface one: a tool of the MCP server', async () => {
    const said = await noted(notes, 'The customer paid twice.')
    must(said.includes('Written.'), `the client was told: ${said}`)
    return paragraph(
      '$ npx bailiwick agent mcp --server notes …',
      'An unmodified client of MCP called write_note with the name "case-7". The server answered: Written.',
    )
  })

  await step('Surface two: the HTTP API', async () => {
    const paid = await refund('30')
    must(paid.status === 201, `the refund got ${paid.status}: ${paid.text}`)
    const large = await refund('45')
    must(large.text.includes('argument_out_of_bounds'), `a refund of 45 EUR got ${large.status}: ${large.text}`)
    const second = await refund('30')
    must(second.text.includes('budget_exhausted'), `the second refund got ${second.status}: ${second.text}`)
    must(api.refunds.length === 1, `the API paid ${api.refunds.length} refunds`)
    return paragraph(
      'The agent refunded 30 EUR. The gateway added the key of the API to that request.',
      'A refund of 45 EUR was denied (argument_out_of_bounds): one refund may be 40 EUR at most.',
      'A second refund of 30 EUR was denied (budget_exhausted): 20 of the 50 EUR are left.',
      'The API paid one refund. The denied requests never reached it.',
    )
  })

  const database = opened.use(await place.servePostgres(grantId))
  await step('Surface three: a table in PostgreSQL', async () => {
    const update = "UPDATE orders SET note = 'refunded' WHERE id = 7"
    const ran = await queried(database.url, update, 'SELECT note, session_user FROM orders WHERE id = 7')
    const [note, role = ''] = ran.out.split('|')
    must(ran.code === 0 && note === 'refunded', `psql said: ${ran.out}${ran.said}`)
    const salaries = await queried(database.url, 'SELECT * FROM salaries')
    must(salaries.said.includes('permission denied'), `psql said: ${salaries.out}${salaries.said}`)
    const left = await repeating((count) => count !== '0', lent)
    must(left === '0', `${left} roles are left`)
    return paragraph(
      '$ npx bailiwick agent postgres --database orders …',
      'psql changed the note of order 7. It had no password of the database.',
      `The database made a role for this connection alone, ${role}, and dropped it when psql left.`,
      'A DBA chose what such a role may do. When psql read the table salaries, the database said: permission denied.',
    )
  })

  await step('Surface four: a page of an application that only knows people', async () => {
    const listed = await listCases()
    must(listed.status === 200 && listed.text.includes('case-7-open'), `the page got ${listed.status}: ${listed.text}`)
    must(!listed.text.includes('csrfmiddlewaretoken'), 'the page shows a token')
    must(!listed.headers.has('set-cookie'), 'the answer has a cookie')
    const closed = await renameCase(1, 'case-7-closed')
    must(closed.status === 302, `the form got ${closed.status}: ${closed.text}`)
    const other = await renameCase(2, 'case-8-closed')
    must(other.text.includes('argument_out_of_bounds'), `the other case got ${other.status}: ${other.text}`)
    const cases = await django.sql('select name from auth_group order by id')
    must(cases === "[('case-7-closed',), ('case-8-open',)]", `the cases are ${cases}`)
    return paragraph(
      'The gateway logged in at the form with the service account. The agent saw no password, no cookie and no token.',
      'The agent read the list of cases, and sent the form that renames case-7-open to case-7-closed.',
      'The same form for case 8 was denied (argument_out_of_bounds), although the account itself may change every case.',
    )
  })

  await step('One budget counted all of it', async () => {
    const taken = async () => {
      const { grants } = (await patiently(() => approver.state())) as unknown as { grants: Shown[] }
      return grants.find(({ id }) => id === grantId)?.taken
    }
    const counted = await repeating((found) => (found?.calls ?? 0) < 6 || found?.cost.EUR === undefined, taken)
    must(counted !== undefined && counted.calls >= 6, `the console shows ${JSON.stringify(counted)}`)
    const spent = Number(counted.cost.EUR)
    must(spent === 30, `the console shows ${counted.cost.EUR} EUR`)
    return paragraph(
      `The console shows ${person} what the task took: ${counted.calls} of 40 calls, and ${spent} of 50 EUR.`,
      'The calls of all four surfaces are in that number. A connection to the database is one call.',
    )
  })

  await step('One click stops all four', async () => {
    let isWithdrawn = false
    const goesOn = () => !isWithdrawn
    const call = openCall(notes, goesOn)
    const stream = await openStream(() => fetched(`${place.address('refunds')}/refunds/changes`))
    const statement = openStatement(database.url, goesOn)
    await listCases()
    const opened = async () => ({
      call:
        (await place.bailiwick('events', '--type', 'decision.allowed', '--resource', 'notes/tail_notes')).out !== none,
      ...{ stream: api.followers === 1, statement: (await asleep()) === '1', session: (await sessions()) === '[(1,)]' },
    })
    const before = await repeating((found) => Object.values(found).includes(false), opened)
    must(!Object.values(before).includes(false), `open before the click: ${JSON.stringify(before)}`)
    isWithdrawn = true
    await patiently(() => approver.withdraw(requestId, 'The customer called: there was no second payment.'))
    const acknowledged = performance.now()
    const role = overOnce('a role is left in the database', async () => (await lent()) === '0')
    const session = overOnce('a session is left in the application', async () => (await sessions()) === '[(0,)]')
    const ended = await Promise.all([call.over, stream.over, statement.over, role, session])
    must(ended[2].said.includes('The connection is over'), `psql said: ${ended[2].said}`)
    must(api.followers === 0, 'the API still sends its stream')
    const [ofCall, ofStream, ofStatement, ofRole, ofSession] = ended.map(({ at }) => {
      return at < acknowledged ? 'at once' : `after ${Math.round(at - acknowledged)} ms`
    })
    return paragraph(
      'Four things were open: a call of tail_notes, a stream of the API, a statement of psql that sleeps for an hour, and a session in the application.',
      `${person} withdrew the task. That is one click in the console, and one signed event in the log.`,
      'Counted from the moment when the withdrawal was acknowledged:',
      `the call of the MCP server ended ${ofCall}. The stream of the API was cut ${ofStream}.`,
      `psql lost its connection ${ofStatement}, and the database had dropped the role ${ofRole}.`,
      `The session in the application was over ${ofSession}.`,
    )
  })

  await step('Each surface is cut', async () => {
    const said = {
      notes: await noted(notes, 'Once more.'),
      refunds: (await refund('5')).text,
      orders: (await queried(database.url, 'SELECT 1')).said,
      office: (await listCases()).text,
    }
    const codes = Object.entries(said).map(([name, text]) => {
      const code = /grant_revoked|access_request_refused|credential_missing|grant_unknown|\b\w+_revoked\b/.exec(
        text,
      )?.[0]
      must(code !== undefined, `${name} answered: ${text}`)
      return `${name}: ${code}`
    })
    must(api.refunds.length === 1, 'the API paid a refund after the withdrawal')
    return paragraph(
      'The agent tried all four once more, and got a denial from each:',
      `${codes.join(', ')}.`,
      'The decision point denies the grant (grant_revoked), and the issuer gives no credential for it (access_request_refused).',
    )
  })

  await step('Who did it, and who allowed it? The evidence answers for all four', async () => {
    const lines: string[] = []
    for (const tool of ['notes/write_note', 'refunds/refund', 'orders/connect', 'office/rename_case']) {
      const decision = await outcomeOf(place, tool)
      await traced(system.url, decision)
      const trace = await place.bailiwick('trace', decision)
      must(
        trace.out.includes(requestId),
        `the trace of ${tool} names no request ${requestId}: ${trace.out}${trace.err}`,
      )
      lines.push(`     ${tool.padEnd(19)} ${decision}`)
    }
    const account = await django.sql(
      'select username, change_message from django_admin_log join auth_user on auth_user.id = user_id',
    )
    must(account.includes("'svc-bailiwick'"), `the application's log has ${account}`)
    const report = await place.bailiwick('report')
    const spent = report.out.split('\n').filter((line) => /refunds\/refund|for close-case-7/.test(line))
    must(report.code === 0 && spent.length === 2, `report ended with ${report.code}: ${report.out}${report.err}`)
    const audit = await place.bailiwick('audit')
    must(audit.code === 0, `audit ended with ${audit.code}: ${audit.out}${audit.err}`)
    return [
      paragraph(`Each of these calls leads back to the agent, and to request ${requestId}, which ${person} approved:`),
      ...lines,
      '     '.concat(
        paragraph(
          'The log of the application names its service account, svc-bailiwick. The log of Bailiwick names the agent and the person.',
          '$ npx bailiwick report',
        ),
      ),
      ...spent.map((line) => `     ${line.trim()}`),
      '     '.concat(paragraph('$ npx bailiwick audit', 'The audit read the whole log, and found nothing wrong.')),
    ].join('\n')
  })

  async function asleep(): Promise<string> {
    return server.query('postgres', "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
  }
}

/** The decision of the newest call of a tool that succeeded. */
async function outcomeOf(place: SurfacesPlace, tool: string): Promise<string> {
  const found = await repeating(
    ({ decision }) => decision === undefined,
    async () => {
      const { out, err } = await place.bailiwick('events', '--type', 'outcome.reported', '--resource', tool)
      return { decision: /(dec_\w+) +succeeded/.exec(out)?.[1], said: out + err }
    },
  )
  must(found.decision !== undefined, `no outcome of ${tool} is in the log: ${found.said}`)
  return found.decision
}
