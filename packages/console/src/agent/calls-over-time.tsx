import { useMemo } from 'react'
import type { Touched } from '../types.ts'
import { number } from '../ui/numbers.ts'
import { timeText, When } from '../ui/time.tsx'
import { type Bucket, bucketsOf } from './buckets.ts'

const iso = (ms: number) => new Date(ms).toISOString()
/** A shorter time has no bars, because the lines of the calls show it. */
const shortestMs = 2 * 3_600_000

/** Calls and denials over the time of the page. Each bar limits the whole page to its own time. */
export function CallsOverTime({
  touched,
  isZoomed,
  onZoom,
}: {
  touched: Touched
  isZoomed: boolean
  onZoom(span: { from: string | undefined; to: string | undefined }): void
}) {
  const buckets = useMemo(() => bucketsOf(touched), [touched])
  const [begin, end] = [Date.parse(touched.from), Date.parse(touched.to)]
  const isShort = end - begin <= shortestMs
  const most = Math.max(1, ...buckets.map(({ allowed, denied }) => allowed + denied))
  const zoom = ({ from, to }: Pick<Bucket, 'from' | 'to'>) => onZoom({ from: iso(from), to: iso(to - 1) })
  const length = end - begin
  return (
    <figure className="over-time" aria-label="Calls and denials over time">
      {isZoomed ? (
        <div className="zoomed">
          <button type="button" className="quiet" onClick={() => onZoom({ from: undefined, to: undefined })}>
            Zoom out
          </button>
          <button type="button" className="quiet" onClick={() => zoom({ from: begin - length, to: begin })}>
            ← Earlier
          </button>
          <button type="button" className="quiet" onClick={() => zoom({ from: end + 1, to: end + 1 + length })}>
            Later →
          </button>
        </div>
      ) : null}
      {isShort || buckets.length === 0 ? null : (
        <>
          <div className="bars">
            {buckets.map((bucket) => (
              <button
                key={bucket.from}
                type="button"
                title={`${wordsOf(bucket)}. Zoom in`}
                aria-label={`${wordsOf(bucket)}. Zoom in`}
                style={{
                  left: `${((bucket.from - begin) / length) * 100}%`,
                  width: `${((Math.min(bucket.to, end) - bucket.from) / length) * 100}%`,
                }}
                onClick={() => zoom(bucket)}
              >
                <span className="denied" style={{ height: `${(bucket.denied / most) * 100}%` }} />
                <span className="allowed" style={{ height: `${(bucket.allowed / most) * 100}%` }} />
              </button>
            ))}
          </div>
          <p className="call-axis" aria-hidden="true">
            <When iso={touched.from} />
            <span className="legend-of-bars">
              <i className="allowed" /> allowed <i className="denied" /> denied
            </span>
            <When iso={touched.to} />
          </p>
          <details>
            <summary>As a table</summary>
            <table className="activity">
              <caption className="hidden">Calls and denials over time</caption>
              <thead>
                <tr>
                  <th scope="col">From</th>
                  <th scope="col">Allowed</th>
                  <th scope="col">Denied</th>
                </tr>
              </thead>
              <tbody>
                {buckets.map((bucket) => (
                  <tr key={bucket.from}>
                    <th scope="row">
                      <When iso={iso(bucket.from)} />
                    </th>
                    <td>{number(bucket.allowed)}</td>
                    <td className={bucket.denied > 0 ? 'bad' : undefined}>{number(bucket.denied)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </details>
        </>
      )}
    </figure>
  )
}

const wordsOf = ({ from, allowed, denied }: Bucket) =>
  `${timeText(iso(from))}: ${number(allowed)} allowed, ${number(denied)} denied`
