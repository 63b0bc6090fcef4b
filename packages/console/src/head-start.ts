import { startEarly } from './api.ts'
import { type Filters, filterNames, rowsAt, viewOf } from './pages/inbox-asks.ts'

// What every page asks first is on its way before the page's code has run. The server tells its time before it is asked for rows: it
// announces what changes after that time.
startEarly('/hello')
const me = startEarly('/me')
if (/^\/(console\/?|console\/inbox)?$/.test(location.pathname)) {
  const given = new URLSearchParams(location.search)
  const filters: Filters = Object.fromEntries(
    filterNames.flatMap((name) => (given.get(name) ? [[name, given.get(name)]] : [])),
  )
  const rows = rowsAt(viewOf(given.get('show') ?? undefined), given.get('q') ?? '', filters)
  void me.then(({ ok }) => (ok ? startEarly(rows) : undefined)).catch(() => undefined)
}
