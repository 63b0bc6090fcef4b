import { useQueryClient } from '@tanstack/react-query'
import { enrolFirst, type Invitation } from '../ceremonies.ts'
import type { Hello } from '../types.ts'
import { Ceremony } from '../ui/ceremony.tsx'
import { Outside } from '../ui/outside.tsx'
import { useSay } from '../ui/say.tsx'

/** The first approver's enrolment, with the invitation of `bailiwick init`. */
export function Welcome({
  invitation,
  hello,
  onEnrolled,
}: {
  invitation: Extract<Invitation, { kind: 'invitation' }>
  hello: Hello
  onEnrolled(): void
}) {
  const client = useQueryClient()
  const say = useSay()
  const enrol = async (data: FormData) => {
    await enrolFirst(invitation, String(data.get('id')), String(data.get('name')))
    await client.refetchQueries({ queryKey: ['hello'] })
    say('You are enrolled.')
    onEnrolled()
  }
  return (
    <Outside hello={hello}>
      <Ceremony title="Become the first approver" action="Create passkey and enrol" onSubmit={enrol}>
        <p>
          The invitation that you opened registers one passkey for the first approver, once. It stays in this browser
          and is not sent.
        </p>
        <label className="field">
          <span>Approver id</span>
          <input name="id" required defaultValue="owner" autoComplete="off" maxLength={255} />
          <small>How the registry and the evidence name you</small>
        </label>
        <label className="field">
          <span>Your name</span>
          <input name="name" required autoComplete="name" maxLength={200} />
        </label>
      </Ceremony>
    </Outside>
  )
}
