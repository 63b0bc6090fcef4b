import { startEarly } from './api.ts'
import './style/index.css'
import { type Filters, filterNames, rowsAt, viewOf } from './pages/inbox-asks.ts'

// The first file of the page is small: it sends the requests that every page begins with, while the page's code is still loading. The server
// tells its time before the page asks for rows, because it announces what changes after that time.
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

void import('./main.tsx')
