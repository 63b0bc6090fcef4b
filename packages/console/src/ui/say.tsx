import { createContext, type ReactNode, useCallback, useContext, useRef, useState } from 'react'
import { Visible } from './visible.tsx'

type Kind = 'done' | 'failed'
type Say = (text: string, kind?: Kind) => void

const SayContext = createContext<Say>(() => undefined)

export const useSay = () => useContext(SayContext)

/** One message at a time, read out by screen readers. */
export function Messages({ children }: { children: ReactNode }) {
  const [message, setMessage] = useState<{ text: string; kind: Kind }>()
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  const say = useCallback<Say>((text, kind = 'done') => {
    clearTimeout(timer.current)
    setMessage({ text, kind })
    timer.current = setTimeout(() => setMessage(undefined), kind === 'failed' ? 12_000 : 6000)
  }, [])
  return (
    <SayContext value={say}>
      {children}
      <div className="messages" role="status" aria-live="polite">
        {message === undefined ? null : (
          <p className={`message ${message.kind}`}>
            <Visible text={message.text} />
          </p>
        )}
      </div>
    </SayContext>
  )
}
