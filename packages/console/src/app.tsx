import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { api, onSignedOut, Problem, setServerTime } from './api.ts'
import type { Invitation } from './ceremonies.ts'
import { Door } from './pages/door.tsx'
import { Join } from './pages/join.tsx'
import { dropDrafts } from './pages/narrow-draft.ts'
import { Welcome } from './pages/welcome.tsx'
import { Shell } from './shell.tsx'
import type { Hello, Me } from './types.ts'
import { dropLeftLists } from './ui/left-lists.ts'
import { Outside } from './ui/outside.tsx'
import { Failed, Loading } from './ui/parts.tsx'
import { dropAllDrafts } from './workbench/drafts.ts'

/** How often a page that has nothing to show yet asks again for it. */
const awayMs = 3000

function useHello() {
  return useQuery({
    queryKey: ['hello'],
    queryFn: () => api<Hello>('/hello'),
    refetchInterval: ({ state }) => (state.status === 'error' ? awayMs : false),
  })
}

function useMe(enabled: boolean) {
  return useQuery({
    queryKey: ['me'],
    enabled,
    queryFn: async () => {
      const me = await api<Me>('/me')
      setServerTime(me.now)
      return me
    },
    refetchInterval: ({ state }) => (state.data === undefined && state.status === 'error' ? awayMs : 15_000),
  })
}

/** Chooses the page by the state: no approver enrolled, no person signed in, or a person signed in. */
export function App({ invitation, unreadable }: { invitation: Invitation | undefined; unreadable: boolean }) {
  const client = useQueryClient()
  const hello = useHello()
  const [gone, setGone] = useState(false)
  const [left, setLeft] = useState(false)
  const [joining, setJoining] = useState(true)
  const me = useMe(hello.data?.enrolled === true && !gone)

  useEffect(
    () =>
      onSignedOut(() => {
        // Nothing that the signed-out person saw stays in the page.
        setGone(true)
        dropLeftLists()
        client.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== 'hello' && queryKey[0] !== 'me' })
      }),
    [client],
  )

  const entered = () => {
    setJoining(false)
    setGone(false)
    setLeft(false)
    client.removeQueries({ queryKey: ['me'] })
    void client.invalidateQueries()
  }

  // What is known stays on the page while the server is away: the shell says that it is old.
  if (hello.data === undefined) return hello.error ? <Away error={hello.error} /> : <Loading />
  if (hello.data.enrolled && me.isPending && !gone) return <Loading />
  if (!hello.data.enrolled) {
    if (invitation?.kind === 'invitation')
      return <Welcome invitation={invitation} hello={hello.data} onEnrolled={entered} />
    return (
      <Outside hello={hello.data}>
        <h1>No approver is enrolled yet</h1>
        <p>Open the invitation’s address. It is in the terminal where Bailiwick was started.</p>
        {unreadable ? <p className="note bad">The invitation in the address cannot be read.</p> : null}
      </Outside>
    )
  }
  if (joining && invitation !== undefined && invitation.kind !== 'invitation')
    return <Join word={invitation} hello={hello.data} onDone={() => setJoining(false)} onEntered={entered} />
  const unknown = me.error instanceof Problem && me.error.status === 401
  if (gone || unknown) {
    const ended = gone && !left && me.data !== undefined
    return <Door hello={hello.data} invited={invitation?.kind === 'invitation'} ended={ended} onEntered={entered} />
  }
  if (!me.data) return me.error ? <Away error={me.error} /> : <Loading />
  const leave = () => {
    dropDrafts()
    dropAllDrafts()
    dropLeftLists()
    setLeft(true)
    setGone(true)
    client.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== 'hello' })
  }
  return <Shell me={me.data} stale={me.isError} onLeft={leave} />
}

/** Nothing is known yet, so there is no page to show. Both queries repeat automatically. */
function Away({ error }: { error: unknown }) {
  return (
    <main className="outside">
      <div className="outside-card">
        <h1>Bailiwick does not answer</h1>
        <Failed error={error} />
        <p>This page tries again every few seconds. Nothing that you signed is lost.</p>
      </div>
    </main>
  )
}
