import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { api } from '../api.ts'
import { enrolInvited, enrolRecovered, type Invitation, type InvitedOffer } from '../ceremonies.ts'
import type { Hello } from '../types.ts'
import { Ceremony } from '../ui/ceremony.tsx'
import { Outside } from '../ui/outside.tsx'
import { Failed, Loading } from '../ui/parts.tsx'
import { Visible } from '../ui/visible.tsx'

interface JoinProps {
  word: Exclude<Invitation, { kind: 'invitation' }>
  hello: Hello
  onDone(): void
  onEntered(): void
}

/** Registers a passkey with a colleague's invitation, or with the root key's recovery after all passkeys were lost. */
export function Join({ word, hello, onDone, onEntered }: JoinProps) {
  return (
    <Outside hello={hello}>
      {word.kind === 'invite' ? (
        <Invited code={word.code} onDone={onDone} />
      ) : (
        <Recovered word={word} onDone={onDone} onEntered={onEntered} />
      )}
    </Outside>
  )
}

function Invited({ code, onDone }: { code: string; onDone(): void }) {
  const offer = useQuery({
    queryKey: ['invited', code],
    queryFn: () => api<InvitedOffer>('/enrolment/options', { code }),
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
  })
  const [made, setMade] = useState(false)
  if (offer.isPending) return <Loading />
  if (offer.error) return <Refused error={offer.error} onDone={onDone} />
  const { name, approver_id, groups, by } = offer.data.invited
  if (made)
    return (
      <>
        <h1>Your passkey is made</h1>
        <p>
          It counts once the change of the registry is approved. <Visible text={by} /> proposed it; ask them, or another
          approver, to sign it.
        </p>
        <button type="button" className="primary wide" onClick={onDone}>
          Go to sign-in
        </button>
      </>
    )
  return (
    <Ceremony
      title={`Join as ${name}`}
      action="Create passkey"
      onSubmit={async () => {
        await enrolInvited(offer.data, code)
        setMade(true)
      }}
    >
      <p>
        <Visible text={by} /> invites you to approve what agents ask for, as{' '}
        <Visible text={`${name} (${approver_id})`} />
        {groups.length === 0 ? '' : ', in '}
        <Visible text={groups.join(', ')} />. If that is not you, close this page and tell them.
      </p>
    </Ceremony>
  )
}

function Recovered({
  word,
  onDone,
  onEntered,
}: {
  word: Extract<Invitation, { kind: 'recovery' }>
  onDone(): void
  onEntered(): void
}) {
  return (
    <Ceremony
      title="Recover"
      action="Create passkey and recover"
      onSubmit={async () => {
        await enrolRecovered(word)
        onEntered()
      }}
      after={
        <button type="button" className="wide" onClick={onDone}>
          Not now
        </button>
      }
    >
      <p>
        The root key announced recovery <Visible text={word.id} />. It can register one new passkey, once, 24 hours
        after it was announced. The lost passkeys then stop counting.
      </p>
    </Ceremony>
  )
}

function Refused({ error, onDone }: { error: unknown; onDone(): void }) {
  return (
    <>
      <h1>This link does not work</h1>
      <Failed error={error} />
      <button type="button" className="wide" onClick={onDone}>
        Go to sign-in
      </button>
    </>
  )
}
