import { Dialog } from '../ui/dialog.tsx'
import { useKeysAllowed } from '../ui/keys.ts'

const keys = [
  ['j, k', 'The next request, the one before'],
  ['Enter', 'Open the request on a page of its own'],
  ['a', 'Approve as asked: shows what you sign, and asks for your passkey at once. With a warning, Enter signs'],
  ['n', 'Approve narrower'],
  ['d, then Enter', 'Deny'],
  ['x', 'Select, to deny several'],
  ['Shift + D', 'Deny all that are selected'],
  ['r', 'Show what is new'],
  ['/', 'Search'],
  ['?', 'These keys'],
] as const

export function KeysDialog({ onClose }: { onClose(): void }) {
  const [allowed, setAllowed] = useKeysAllowed()
  return (
    <Dialog title="Keys" action="Done" onSubmit={() => undefined} onClose={onClose}>
      <dl className="facts keys">
        {keys.map(([key, does]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <label className="check">
        <input type="checkbox" checked={allowed} onChange={() => setAllowed(!allowed)} />
        Use single keys in this browser
      </label>
    </Dialog>
  )
}
