import { signIn } from '../ceremonies.ts'
import type { Hello } from '../types.ts'
import { Ceremony } from '../ui/ceremony.tsx'
import { Outside } from '../ui/outside.tsx'

/** Sign-in. The address stays, so that people return to their page after the session ended. */
export function Door({
  hello,
  invited,
  ended,
  onEntered,
}: {
  hello: Hello
  invited: boolean
  ended: boolean
  onEntered(): void
}) {
  const enter = async (data: FormData) => {
    await signIn(String(data.get('id') ?? ''))
    onEntered()
  }
  return (
    <Outside hello={hello}>
      <Ceremony
        title="Sign in"
        action="Sign in with passkey"
        onSubmit={enter}
        after={
          <details>
            <summary>My security key keeps no list of passkeys</summary>
            <label className="field">
              <span>Approver id</span>
              <input name="id" autoComplete="username" maxLength={255} />
            </label>
          </details>
        }
      >
        {ended ? <p className="note">Your session ended. Sign in to go on where you were; nothing was lost.</p> : null}
        {invited ? <p className="note">The invitation was used already.</p> : null}
        <p>What agents ask for, and what was approved, is shown to approvers only.</p>
      </Ceremony>
    </Outside>
  )
}
