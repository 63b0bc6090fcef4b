import { useState } from 'react'
import { api } from '../api.ts'
import { decode } from '../ceremonies.ts'
import { go } from '../router.tsx'
import type { Me } from '../types.ts'
import { Ceremony } from '../ui/ceremony.tsx'
import { Facts } from '../ui/parts.tsx'
import { duration } from '../ui/time.tsx'
import { useTitle } from '../ui/title.ts'
import { Visible } from '../ui/visible.tsx'

/** The ask that `bailiwick emergency` signs and puts into the address, as a fragment. A browser sends no fragment to a server. */
interface Ask {
  request: string
  jwk: object
  purpose: { salt: string; text: string }
}

const text = (encoded: string) => new TextDecoder().decode(decode(encoded))

function askInAddress(): Ask | undefined {
  try {
    return JSON.parse(text(new URLSearchParams(location.hash.slice(1)).get('ask') ?? '')) as Ask
  } catch {
    return undefined
  }
}

/** Opens an emergency. It grants nothing yet: the next page shows what it would allow, for two people to sign. */
export function EmergencyPage({ me }: { me: Me }) {
  useTitle('Open an emergency')
  const [ask] = useState(askInAddress)
  if (ask === undefined)
    return (
      <>
        <h1>Open an emergency</h1>
        <p>
          Run <code>bailiwick emergency</code> where you will act. It makes a key, and prints an address to open here.
        </p>
      </>
    )
  const {
    sub,
    authority,
    expires_in_seconds: seconds,
  } = JSON.parse(text(ask.request.split('.')[1] ?? '')) as {
    sub: string
    authority: { task: string }
    expires_in_seconds?: number
  }
  const open = async () => {
    const { request_id } = await api<{ request_id: string }>('/emergencies', ask)
    history.replaceState(null, '', location.pathname)
    go(`/console/requests/${request_id}`)
  }
  return (
    <section className="card">
      <Ceremony title="Open an emergency" action="Open it, and tell everyone" onSubmit={open}>
        <p>
          An emergency goes round the rules for approval. Bailiwick notifies all approvers now. On the next page you
          sign what it allows, and then a second person signs the same.
        </p>
        <p className="note warn">
          Compare the key with the one that <code>bailiwick emergency</code> printed for you. If you received this
          address from another person, close it: the sender has the key, and would act in your name.
        </p>
        <Facts
          rows={[
            ['Why', <Visible key="w" text={ask.purpose.text} />],
            ['Task', <Visible key="t" text={authority.task} />],
            ['You act as', <Visible key="a" text={sub} />],
            ['Key', <Visible key="k" text={sub.slice(sub.lastIndexOf('/') + 1)} />],
            ['Signed in as', <Visible key="m" text={`${me.me.name} (${me.me.id})`} />],
            ['For', seconds === undefined ? 'no time' : duration(seconds)],
          ]}
        />
      </Ceremony>
    </section>
  )
}
