import { Suspense, useEffect, useRef, useState } from 'react'
import { api } from './api.ts'
import { useLive } from './live.ts'
import { EmergencyBanner } from './pages/emergency-banner.tsx'
import { InboxPage } from './pages/inbox.tsx'
import { later, loadLater } from './pages/later.ts'
import { backTo, Link, useRoute } from './router.tsx'
import type { Me, Recovery } from './types.ts'
import { Boundary } from './ui/boundary.tsx'
import { number } from './ui/numbers.ts'
import { Mark } from './ui/outside.tsx'
import { Loading } from './ui/parts.tsx'
import { problemText } from './ui/problem-text.ts'
import { useSay } from './ui/say.tsx'
import { When } from './ui/time.tsx'
import { useTitle, useWaiting } from './ui/title.ts'
import { Visible } from './ui/visible.tsx'

const {
  AgentPage,
  AgentsPage,
  EmergencyPage,
  EvidencePage,
  GrantsPage,
  PeoplePage,
  RequestPage,
  RetireRecoveryDialog,
  RulesPage,
  TracePage,
  Workbench,
} = later

const places = [
  ['inbox', 'Inbox'],
  ['grants', 'Grants'],
  ['agents', 'Agents'],
  ['registry', 'Registry'],
  ['rules', 'Rules'],
  ['people', 'People'],
  ['evidence', 'Evidence'],
] as const

/** The frame of every page: the current page, the signed-in person, the other pages, and the warnings for everyone. */
export function Shell({ me, stale, onLeft }: { me: Me; stale: boolean; onLeft(): void }) {
  const listening = useLive(me.now)
  useEffect(loadLater, [])
  const say = useSay()
  const [page = 'inbox', id, ...more] = useRoute()
  const here = page === 'requests' ? 'inbox' : page
  const main = useArrival([page, id, ...more].join(' '))
  useWaiting(me.pending)
  const leave = async () => {
    try {
      await api('/session/end', {})
      onLeft()
    } catch (error) {
      say(problemText(error), 'failed')
    }
  }
  return (
    <div className="shell">
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <header className="top">
        <p className="mark">
          <Mark /> Bailiwick
        </p>
        <p className="where" title="This installation">
          {me.installation}
        </p>
        <p className="who">
          <span className={`live ${listening && !stale ? 'on' : 'off'}`}>
            {listening && !stale ? 'Live' : 'Not live'}
          </span>
          <span className="who-name">
            <Visible text={me.me.name} />
          </span>
          <button type="button" className="quiet" onClick={leave}>
            Sign out
          </button>
        </p>
      </header>
      <nav className="nav" aria-label="Console">
        {places.map(([name, title]) => (
          <Link
            key={name}
            to={here === name && page !== 'requests' ? `/console/${name}` : backTo(`/console/${name}`)}
            aria-current={here === name ? 'page' : undefined}
          >
            {title}
            {name === 'inbox' && me.pending > 0 ? (
              <span className="count">
                {number(me.pending)}
                <span className="hidden"> waiting for you</span>
              </span>
            ) : null}
          </Link>
        ))}
      </nav>
      <main id="main" className="main" tabIndex={-1} ref={main}>
        <Banners me={me} stale={stale} />
        <Boundary key={[page, id, ...more].join(' ')}>
          <Suspense fallback={<Loading />}>
            <PageOf page={page} id={id} more={more} me={me} />
          </Suspense>
        </Boundary>
      </main>
    </div>
  )
}

/** Moves the keyboard focus to the content of the next page. On the first page, the browser already knows where to start. */
function useArrival(place: string) {
  const main = useRef<HTMLElement>(null)
  const last = useRef(place)
  useEffect(() => {
    if (last.current !== place) main.current?.focus({ preventScroll: true })
    last.current = place
  }, [place])
  return main
}

function PageOf({ page, id, more, me }: { page: string; id: string | undefined; more: string[]; me: Me }) {
  // The server knows the same addresses (`places` in approval's page.ts).
  const hasOne = ['requests', 'evidence', 'agents', 'registry'].includes(page)
  if (more.length > (page === 'registry' ? 1 : 0) || (id !== undefined && !hasOne)) return <NoSuchPage />
  if (page === 'requests' && id !== undefined) return <RequestPage key={id} id={id} me={me} />
  if (page === 'grants') return <GrantsPage />
  if (page === 'agents' && id !== undefined) return <AgentPage key={id} id={decodeURIComponent(id)} me={me} />
  if (page === 'agents') return <AgentsPage />
  if (page === 'registry')
    return <Workbench type={id} id={more[0] === undefined ? undefined : decodeURIComponent(more[0])} me={me} />
  if (page === 'rules') return <RulesPage me={me} />
  if (page === 'emergency') return <EmergencyPage me={me} />
  if (page === 'people') return <PeoplePage me={me} />
  if (page === 'evidence')
    return id === undefined ? <EvidencePage /> : <TracePage key={id} id={decodeURIComponent(id)} />
  if (page === 'inbox') return <InboxPage me={me} />
  return <NoSuchPage />
}

function NoSuchPage() {
  useTitle('No such page')
  return (
    <>
      <h1>There is no such page</h1>
      <p>
        The address may be misspelt, or be one of an older version. <Link to="/console/inbox">Go to the inbox</Link>
      </p>
    </>
  )
}

function Banners({ me, stale }: { me: Me; stale: boolean }) {
  return (
    <div className="banners">
      {me.software_approver ? (
        <p className="banner warn">
          <strong>Software approver.</strong> A program answers requests here, and no person. <code>bailiwick dev</code>{' '}
          made this installation, and it can never be used for anything else.
        </p>
      ) : null}
      {me.single_operator ? (
        <p className="banner warn">
          <strong>Single operator.</strong> One person’s passkey is enough for everything here, approving their own
          agents included. Not for production.
        </p>
      ) : me.people < 2 ? (
        <p className="banner warn">
          <strong>Only one approver is enrolled.</strong> Enrol a second one: until then one person alone can change who
          approves.
        </p>
      ) : null}
      {stale ? (
        <p className="banner bad">
          <strong>What you see is old.</strong> The server does not answer: nothing can be approved, denied or stopped
          from here. On its machine <code>bailiwick revoke</code> stops an agent, or everything.
        </p>
      ) : me.fresh ? null : (
        <p className="banner bad">
          <strong>What you see may be old.</strong> The latest word from the issuer is not recent. Approving waits;
          denying and withdrawing work.
        </p>
      )}
      {me.emergencies.map((emergency) => (
        <EmergencyBanner key={emergency.request_id} emergency={emergency} />
      ))}
      {me.recoveries.map((recovery) => (
        <RecoveryBanner key={recovery.id} recovery={recovery} />
      ))}
    </div>
  )
}

function RecoveryBanner({ recovery }: { recovery: Recovery }) {
  const { id, name, approver_id, usable_from } = recovery
  const [retiring, setRetiring] = useState(false)
  return (
    <div className="banner bad">
      <p>
        <strong>Recovery announced.</strong> The root key lets <Visible text={`${name} (${approver_id})`} /> enrol a new
        passkey from <When iso={usable_from} /> on. If none of you knows of it, retire recovery <Visible text={id} />{' '}
        now.
      </p>
      <button type="button" className="danger-quiet" onClick={() => setRetiring(true)}>
        Retire it…
      </button>
      {retiring ? (
        <Suspense>
          <RetireRecoveryDialog recovery={recovery} onClose={() => setRetiring(false)} />
        </Suspense>
      ) : null}
    </div>
  )
}
