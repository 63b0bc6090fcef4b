import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api } from '../api.ts'
import { addPasskey } from '../ceremonies.ts'
import { refresh } from '../live.ts'
import { go } from '../router.tsx'
import type { InviteAnswer, Recovery } from '../types.ts'
import { Dialog } from '../ui/dialog.tsx'
import { useSay } from '../ui/say.tsx'
import { When } from '../ui/time.tsx'
import { Visible } from '../ui/visible.tsx'

/**
 * Makes a link with which one person can register a passkey, once. The new passkey is then signed as a change of the
 * registry.
 */
export function InviteDialog({ groups, onClose }: { groups: string[]; onClose(): void }) {
  const [invited, setInvited] = useState<InviteAnswer>()
  if (invited !== undefined) return <LinkDialog invited={invited} onClose={onClose} />
  const submit = async (data: FormData) => {
    const made = await api<InviteAnswer>('/invitations', {
      approver_id: String(data.get('id')).trim(),
      name: String(data.get('name')).trim(),
      groups: groups.filter((group) => data.has(`group ${group}`)),
    })
    setInvited(made)
    return 'stay' as const
  }
  return (
    <Dialog title="Invite a person" action="Make the link" onSubmit={submit} onClose={onClose}>
      <label className="field">
        <span>Approver id</span>
        <input name="id" required autoComplete="off" maxLength={255} />
        <small>How the registry and the evidence name them</small>
      </label>
      <label className="field">
        <span>Name</span>
        <input name="name" required autoComplete="off" maxLength={200} />
      </label>
      <fieldset>
        <legend>Groups</legend>
        <p className="hint">They decide what this person may approve. Tick only those that they need.</p>
        {groups.map((group) => (
          <label key={group} className="check">
            <input type="checkbox" name={`group ${group}`} />
            <Visible text={group} />
          </label>
        ))}
      </fieldset>
    </Dialog>
  )
}

function LinkDialog({ invited, onClose }: { invited: InviteAnswer; onClose(): void }) {
  return (
    <Dialog title="Give them this link" action="Done" onSubmit={() => undefined} onClose={onClose}>
      <p>
        It works once, until <When iso={invited.expires_at} />. Send it through a channel on which you know the
        recipient: the first person who opens it registers a passkey in that name. Ask them before you sign the change
        that follows. That change takes two people once there are two.
      </p>
      <p className="link-box">
        <Visible text={invited.link} />
      </p>
    </Dialog>
  )
}

/** Opens the proposed change, because it must be signed. */
function useProposed() {
  const client = useQueryClient()
  const say = useSay()
  return async ({ request_id }: { request_id: string | null }) => {
    say('Proposed. It counts once it is approved.')
    await refresh(client)
    if (request_id !== null) go(`/console/requests/${request_id}`)
  }
}

export function AddPasskeyDialog({ onClose }: { onClose(): void }) {
  const proposed = useProposed()
  const submit = async () => proposed(await addPasskey())
  return (
    <Dialog title="Add a passkey" action="Create passkey" onSubmit={submit} onClose={onClose}>
      <p>Use a different device or security key: the new passkey is for the day on which you lose the one you have.</p>
      <p>The new passkey becomes a change of the registry, which is approved like any other.</p>
    </Dialog>
  )
}

/** An approver who does not know of a recovery can have it retired before it can be used. */
export function RetireRecoveryDialog({ recovery, onClose }: { recovery: Recovery; onClose(): void }) {
  const proposed = useProposed()
  const { id, name, approver_id } = recovery
  const submit = async () => proposed(await api(`/recoveries/${encodeURIComponent(id)}/retire`, {}))
  return (
    <Dialog title="Retire this recovery" action="Propose to retire it" danger onSubmit={submit} onClose={onClose}>
      <p>
        It would let <Visible text={`${name} (${approver_id})`} /> enrol a new passkey, in place of all that they have.
      </p>
      <p>
        One signature is enough, including yours. The link then makes no passkey. Another recovery can still be
        announced.
      </p>
    </Dialog>
  )
}

export function RetireDialog({ id, onClose }: { id: string; onClose(): void }) {
  const proposed = useProposed()
  const submit = async () => proposed(await api(`/passkeys/${encodeURIComponent(id)}/retire`, {}))
  return (
    <Dialog title="Retire a passkey" action="Propose to retire it" danger onSubmit={submit} onClose={onClose}>
      <p>
        <code>{id}</code>
      </p>
      <p>Once the change is approved, it signs nothing more. Its earlier signatures do not change.</p>
    </Dialog>
  )
}
