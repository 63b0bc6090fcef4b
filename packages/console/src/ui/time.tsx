import { useEffect, useState } from 'react'
import { serverNow } from '../api.ts'

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const day = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })

const whole = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'long' })

/** The whole time with its zone, and as the log has it; for those who point at a shorter one. */
const wholeText = (iso: string): string => `${whole.format(Date.parse(iso))} (${iso})`

/** The time of day for today; otherwise with the date. */
export function timeText(iso: string): string {
  const time = new Date(iso)
  return time.toDateString() === new Date().toDateString() ? clock.format(time) : day.format(time)
}

const fineClock = new Intl.DateTimeFormat(undefined, {
  ...{ hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3 },
})

/** `fine`: to the millisecond, beside others of the same second. */
export function When({ iso, fine = false }: { iso: string; fine?: boolean }) {
  return (
    <time dateTime={iso} title={wholeText(iso)}>
      {fine ? fineClock.format(Date.parse(iso)) : timeText(iso)}
    </time>
  )
}

export function duration(seconds: number): string {
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 60) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  if (hours >= 48) return `${Math.round(hours / 24)} days`
  return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`
}

/** How long something took. */
export const lasting = (ms: number): string => (ms < 1000 ? `${Math.round(ms)} ms` : duration(Math.round(ms / 1000)))

/** The server's time, each second. */
export function useNow(): number {
  const [now, setNow] = useState(serverNow)
  useEffect(() => {
    const timer = setInterval(() => setNow(serverNow()), 1000)
    return () => clearInterval(timer)
  }, [])
  return now
}

export function Countdown({ iso }: { iso: string }) {
  const seconds = Math.round((Date.parse(iso) - useNow()) / 1000)
  return (
    <time dateTime={iso} title={wholeText(iso)} className={seconds < 300 ? 'soon' : undefined}>
      {seconds <= 0 ? 'over' : duration(seconds)}
    </time>
  )
}

export function Ago({ iso }: { iso: string }) {
  const seconds = Math.max(0, Math.round((useNow() - Date.parse(iso)) / 1000))
  return (
    <time dateTime={iso} title={wholeText(iso)}>
      {seconds < 5 ? 'just now' : `${duration(seconds)} ago`}
    </time>
  )
}

/** When something was, and how long ago. */
export function At({ iso }: { iso: string }) {
  return (
    <>
      <When iso={iso} />, <Ago iso={iso} />
    </>
  )
}
